package azure

import (
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Retrieve implements [provider.Driver]. It makes one call.
func (d *driver) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	s, err := d.get(ctx, name, "")
	switch {
	case isMissing(err):
		d.reads.Note(name, "")
	case err == nil && s.ours:
		d.ours.Note(name, true)
		d.reads.Note(name, s.version)
	}
	if err != nil {
		return nebula.Record{}, err
	}
	return s.record(name)
}

// Exists implements [provider.Driver]. It reads the secret, in one call: a
// list is not known to be right after a deletion.
func (d *driver) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	s, err := d.get(ctx, name, "")
	switch {
	case isMissing(err):
		return false, nil
	case isDisabled(err):
		return true, nil
	case err == nil && !s.ours:
		err = provider.NotARecord()
	}
	return err == nil, err
}

// secret is what stands under a name.
type secret struct {
	exists    bool
	ours      bool           // the tags say that it is the record of that name
	version   nebula.Version // "" where it is not known
	value     string
	purgeable bool
}

// get reads a secret, in that version or, with "", the current one.
func (d *driver) get(ctx context.Context, name nebula.Name, version string) (secret, error) {
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetSecretResponse, error) {
		return d.client.GetSecret(ctx, d.names.secret(name), version, nil)
	})
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil || r.Value == nil {
		return secret{}, errForeignAnswer()
	}
	found, id, ok := parseSecretID(string(*r.ID))
	if !ok || id == "" || !strings.EqualFold(found, d.names.secret(name)) {
		return secret{}, errForeignAnswer()
	}
	return secret{exists: true, ours: d.owns(name, r.Tags, r.Managed), version: nebula.Version(id), value: *r.Value,
		purgeable: isPurgeable(r.Attributes)}, nil
}

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	if !s.ours {
		return nebula.Record{}, provider.NotARecord()
	}
	envelope, err := nebula.ParseEnvelope(name, []byte(s.value))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.version}, nil
}

// owns reports whether the tags are those of that name's record. What belongs
// to a certificate is managed by Key Vault.
func (d *driver) owns(name nebula.Name, tags map[string]*string, managed *bool) bool {
	l, _, ok := unproject(tags)
	return ok && l.ID == name.String() && (managed == nil || !*managed)
}

// isPurgeable is true where the vault does not say.
func isPurgeable(a *azsecrets.SecretAttributes) bool {
	return a == nil || a.RecoveryLevel == nil || strings.Contains(strings.ToLower(*a.RecoveryLevel), "purgeable")
}

// look reads a secret to see what it is. A disabled one cannot be read, but
// its versions are listed with their tags.
func (d *driver) look(ctx context.Context, name nebula.Name) (secret, error) {
	s, err := d.get(ctx, name, "")
	switch {
	case isMissing(err):
		return secret{}, nil
	case !isDisabled(err):
		return s, err
	}
	versions, err := d.versions(ctx, name)
	if err != nil {
		return secret{}, err
	}
	s = secret{exists: true, purgeable: true}
	for _, v := range versions {
		s.ours = s.ours || d.owns(name, v.Tags, v.Managed)
		s.purgeable = s.purgeable && isPurgeable(v.Attributes)
	}
	return s, nil
}

// lookDeleted reads a deleted secret to see what it is. It says that there is
// none for some seconds after a deletion, too.
func (d *driver) lookDeleted(ctx context.Context, name nebula.Name) (secret, error) {
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetDeletedSecretResponse, error) {
		return d.client.GetDeletedSecret(ctx, d.names.secret(name), nil)
	})
	if isMissing(err) {
		return secret{}, nil
	}
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil {
		return secret{}, errForeignAnswer()
	}
	return secret{exists: true, ours: d.owns(name, r.Tags, r.Managed), purgeable: isPurgeable(r.Attributes)}, nil
}
