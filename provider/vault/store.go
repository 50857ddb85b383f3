package vault

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// written is Vault's answer about a version that was written.
type written struct {
	Version        int64             `json:"version"`
	CreatedTime    string            `json:"created_time"`
	DeletionTime   string            `json:"deletion_time"`
	CustomMetadata map[string]string `json:"custom_metadata"`
}

// Store implements [provider.Driver]. It makes one call for the value, and one
// for the custom metadata if the answer shows that it changes.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	custom, err := project(name, envelope.Metadata())
	if err != nil {
		return "", err
	}
	made := sealed{name: name, record: string(envelope.Bytes())}
	began := d.options.Clock.Now()
	w, err := d.write(ctx, made, options.Precondition)
	if err != nil {
		return "", err
	}
	d.warnOfEnd(ctx, name, w.Version, w.DeletionTime)
	if merged := merge(w.CustomMetadata, custom); !maps.Equal(w.CustomMetadata, merged) {
		err := tooManyKeys(merged, custom)
		if err == nil {
			err = d.writeMetadata(ctx, name, merged)
		}
		if err != nil {
			d.noteAttempt(made, w.Version, began)
			return "", d.halfStored(name, err)
		}
	}
	v := formatVersion(w.Version, w.CreatedTime)
	d.recent.Note(name, v)
	return v, nil
}

// halfStored says which of the two calls failed.
func (d *driver) halfStored(name nebula.Name, err error) error {
	e := d.begun(name, err)
	e.Message = "the value was stored, its tags for lists were not: " + e.Message
	return e
}

// begun marks the failure of a call after an earlier one that has already
// changed something. A repetition must look for that.
func (d *driver) begun(name nebula.Name, err error) *nebula.Error {
	e := *d.Explain(name, err)
	e.Err = errors.Join(provider.ErrUnclear, e.Err)
	return &e
}

// writeMetadata replaces the custom metadata and leaves the rest.
func (d *driver) writeMetadata(ctx context.Context, name nebula.Name, custom map[string]string) error {
	_, err := d.change(ctx, name, vaultapi.Request{Method: http.MethodPost, Path: d.paths.secret("metadata", name),
		Body: map[string]any{"custom_metadata": custom}, Silent: true})
	return err
}
