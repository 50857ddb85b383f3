package vault

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// written is what Vault says of a version that was written.
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
	w, err := d.write(ctx, name, string(envelope.Bytes()), options.Precondition)
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

// begun is for the failure of a call after another one that has changed
// something already: a repetition has to look for that.
func (d *driver) begun(name nebula.Name, err error) *nebula.Error {
	e := *d.Explain(name, err)
	e.Err = errors.Join(provider.ErrUnclear, e.Err)
	return &e
}

func (d *driver) write(ctx context.Context, name nebula.Name, record string, condition nebula.Precondition) (written, error) {
	if condition.IsAbsent() {
		return d.writeAbsent(ctx, name, record)
	}
	if version, ok := condition.Version(); ok {
		return d.writeOver(ctx, name, record, version, condition)
	}
	return d.writeAnyway(ctx, name, record)
}

// put writes a version. A cas of -1 asks for nothing, 0 that there is none.
func (d *driver) put(ctx context.Context, method string, name nebula.Name, record string, cas int64) (written, error) {
	body := struct {
		Data    map[string]string `json:"data"`
		Options map[string]int64  `json:"options,omitempty"`
	}{Data: map[string]string{recordKey: record}}
	if cas >= 0 {
		body.Options = map[string]int64{"cas": cas}
	}
	a, err := d.change(ctx, name, request{method: method, path: d.paths.secret("data", name), body: body})
	if err != nil {
		return written{}, err
	}
	if a.Status == http.StatusNoContent { // KV version 1 says nothing
		return written{}, d.errMount()
	}
	w, err := decode[written](d.wire, a)
	if err == nil && w.Version == 0 {
		err = d.errMount()
	}
	return w, err
}

// maxRounds bounds how often others may come between a look and a write.
const maxRounds = 100

// writeAnyway writes whatever is stored there.
func (d *driver) writeAnyway(ctx context.Context, name nebula.Name, record string) (written, error) {
	if provider.IsRepeat(ctx) {
		// The earlier attempt may have written it: not twice.
		if w, done, err := d.wrote(ctx, name, record, 0); done || err != nil {
			return w, err
		}
	}
	w, err := d.put(ctx, http.MethodPost, name, record, -1)
	// An engine that asks for a condition gets the one that holds.
	for round := 0; isConditionRequired(err) || round > 0 && round < maxRounds && isMismatch(err); round++ {
		m, failed := d.readMetadata(ctx, name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		w, err = d.put(ctx, http.MethodPost, name, record, m.CurrentVersion)
	}
	return w, err
}

// writeAbsent writes if there is none, or a deleted one: then on condition that
// nothing was written since.
func (d *driver) writeAbsent(ctx context.Context, name nebula.Name, record string) (written, error) {
	w, err := d.put(ctx, http.MethodPost, name, record, 0)
	for round := 0; round < maxRounds && isMismatch(err); round++ {
		m, failed := d.readMetadata(ctx, name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		if err := d.keyringDeleted(name, m); err != nil {
			return written{}, err
		}
		if current := m.current(); current != "" {
			if provider.IsRepeat(ctx) {
				if w, done, failed := d.wrote(ctx, name, record, m.CurrentVersion); done || failed != nil {
					return w, failed
				}
			}
			return written{}, nebula.IfAbsent().Check(current)
		}
		w, err = d.put(ctx, http.MethodPost, name, record, m.CurrentVersion)
	}
	return w, err
}

// writeOver writes over that version. Vault compares its number. Whether the
// number is of the same secret is looked at before, unless it was a moment ago.
// A patch is refused if the version was deleted, and a plain write is not: if
// the token may not patch, every write is preceded by a look.
func (d *driver) writeOver(ctx context.Context, name nebula.Name, record string, v nebula.Version, condition nebula.Precondition) (written, error) {
	cas, ok := parseVersion(v)
	if !ok {
		return written{}, provider.NotCurrent(v, nil)
	}
	var w written
	var err error
	patches, looked := !d.unpatched.Load(), false
	if seen, _ := d.recent.Get(name); !patches || seen != v {
		err, looked = d.look(ctx, name, cas, condition), true
	}
	if err == nil && patches {
		w, err = d.put(ctx, http.MethodPatch, name, record, cas)
		if patches = !hasStatus(err, http.StatusForbidden) || isInvalidToken(err); !patches {
			err = nil
			if !looked {
				err = d.look(ctx, name, cas, condition)
			}
		}
	}
	if err == nil && !patches {
		if w, err = d.put(ctx, http.MethodPost, name, record, cas); err == nil {
			d.unpatched.Store(true)
		}
	}
	if !isMissing(err) && !isMismatch(err) {
		return w, err
	}
	if provider.IsRepeat(ctx) {
		// What the earlier attempt wrote is the version after.
		if w, done, failed := d.wrote(ctx, name, record, cas+1); done || failed != nil {
			return w, failed
		}
	}
	return written{}, provider.NotCurrent(v, err)
}

// look looks whether the current version is the one of the condition. In a
// repetition it may be the one after, which was written before.
func (d *driver) look(ctx context.Context, name nebula.Name, cas int64, condition nebula.Precondition) error {
	m, err := d.readMetadata(ctx, name)
	if isMissing(err) {
		return nil // the write finds out, or that this is KV version 1
	}
	if err != nil || provider.IsRepeat(ctx) && m.CurrentVersion != cas {
		return err
	}
	return condition.Check(m.current())
}

// wrote reports whether the version of that number, or with 0 the current one, holds the
// record: no two seals are alike, so an earlier attempt wrote it.
func (d *driver) wrote(ctx context.Context, name nebula.Name, record string, number int64) (w written, done bool, err error) {
	s, err := d.read(ctx, name, number)
	switch {
	case isMissing(err):
		return written{}, false, nil
	case err != nil:
		return written{}, false, err
	}
	if stored, ok := s.Data[recordKey].(string); !ok || stored != record {
		return written{}, false, nil
	}
	return written{Version: s.Metadata.Version, CreatedTime: s.Metadata.CreatedTime, CustomMetadata: s.Metadata.CustomMetadata}, true, nil
}

// writeMetadata replaces the custom metadata and leaves the rest.
func (d *driver) writeMetadata(ctx context.Context, name nebula.Name, custom map[string]string) error {
	_, err := d.change(ctx, name, request{method: http.MethodPost, path: d.paths.secret("metadata", name),
		body: map[string]any{"custom_metadata": custom}, silent: true})
	return err
}
