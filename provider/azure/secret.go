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
	forWrite := d.recoveries.watch(name)
	s, err := d.get(ctx, name, "")
	if err == nil && forWrite(s.version) {
		// It is deleted, and recovered only for the moment of a write over it.
		return nebula.Record{}, provider.NotFound()
	}
	switch {
	case isMissing(err):
		d.reads.Note(name, known{byCaller: true})
	case err == nil && s.ours:
		d.noteOurs(name, s)
		d.reads.Note(name, s.known(true))
	}
	switch {
	case err != nil:
		return nebula.Record{}, err
	case !s.ours:
		return nebula.Record{}, provider.NotARecordAt(providerName + ":" + d.names.secret(name))
	}
	return s.record()
}

// Exists implements [provider.Driver]. It reads the secret, in one call: a list
// may be wrong after a deletion.
func (d *driver) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	forWrite := d.recoveries.watch(name)
	s, err := d.get(ctx, name, "")
	switch {
	case isMissing(err), err == nil && forWrite(s.version):
		return false, nil
	case isDisabled(err):
		return true, nil
	case err == nil && !s.ours:
		err = provider.NotARecord()
	}
	return err == nil, err
}

// mark is what the tags of a secret say about it.
type mark int

const (
	unmarked mark = iota // nothing: they are not ours, or others changed them
	marked               // that it holds the record that belongs under its name
	foreign              // that it is of somebody else
)

// secret is the content of a name in the vault.
type secret struct {
	exists bool
	mark   mark
	ours   bool // a record of that name, by its tags or by what it holds

	version   nebula.Version // "" if it is not known
	value     string
	envelope  *nebula.Envelope // nil if the value is not known, or damaged
	damage    error            // why the value is no record
	purgeable bool

	tags        map[string]*string
	contentType string
}

// get reads a secret, in that version or, with "", the current one.
func (d *driver) get(ctx context.Context, name nebula.Name, version string) (secret, error) {
	return d.getSecret(ctx, d.names.secret(name), name, version)
}

// getSecret reads a secret as the record of a name.
func (d *driver) getSecret(ctx context.Context, id string, name nebula.Name, version string) (secret, error) {
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetSecretResponse, error) {
		return d.client.GetSecret(ctx, id, version, nil)
	})
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil || r.Value == nil {
		return secret{}, d.vault.ForeignAnswer()
	}
	found, v, ok := parseSecretID(string(*r.ID))
	if !ok || v == "" || !strings.EqualFold(found, id) {
		return secret{}, d.vault.ForeignAnswer()
	}
	s := secret{exists: true, version: nebula.Version(v), value: *r.Value, purgeable: isPurgeable(r.Attributes), tags: r.Tags}
	if r.ContentType != nil {
		s.contentType = *r.ContentType
	}
	s.envelope, s.damage = nebula.ParseEnvelope(name, []byte(s.value))
	s.mark = markOf(id, name, r.Tags, r.Managed)
	s.ours = s.mark == marked || s.mark == unmarked && s.isRecord()
	return s, nil
}

// isRecord reports whether the value is a record, even of a later version.
func (s secret) isRecord() bool {
	return s.envelope != nil || nebula.KindOf(s.damage) == nebula.ErrUnsupportedVersion
}

func (s secret) record() (nebula.Record, error) {
	if !s.ours {
		return nebula.Record{}, provider.NotARecord()
	}
	return nebula.Record{Envelope: s.envelope, Version: s.version}, s.damage
}

// markOf reads the tags of the secret that is stored where a name's record
// belongs. Key Vault manages a secret that belongs to a certificate. If a tag
// fits this name in no store, others changed it, and it says nothing.
func markOf(secret string, name nebula.Name, tags map[string]*string, managed *bool) mark {
	l, _, ok := unproject(tags)
	switch {
	case managed != nil && *managed:
		return foreign
	case ok && l.ID == name.String():
		return marked
	case ok && isOfAnotherPrefix(secret, l.ID):
		return foreign
	}
	return unmarked
}

// isPurgeable returns true if the vault does not say.
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
	id := d.names.secret(name)
	versions, err := d.versions(ctx, id)
	if err != nil {
		return secret{}, err
	}
	s = secret{exists: true, purgeable: true}
	for _, v := range versions {
		if markOf(id, name, v.Tags, v.Managed) == marked {
			s.mark, s.ours = marked, true
		}
		s.purgeable = s.purgeable && isPurgeable(v.Attributes)
	}
	return s, nil
}

// lookDeleted reads a deleted secret to see what it is. The value is not
// available, so it cannot tell one without our tags from another's. For some
// seconds after a deletion it reports that there is none.
func (d *driver) lookDeleted(ctx context.Context, name nebula.Name) (secret, error) {
	id := d.names.secret(name)
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetDeletedSecretResponse, error) {
		return d.client.GetDeletedSecret(ctx, id, nil)
	})
	if isMissing(err) {
		return secret{}, nil
	}
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil {
		return secret{}, d.vault.ForeignAnswer()
	}
	_, version, ok := parseSecretID(string(*r.ID))
	if !ok || version == "" {
		return secret{}, d.vault.ForeignAnswer()
	}
	s := secret{exists: true, version: nebula.Version(version), purgeable: isPurgeable(r.Attributes), tags: r.Tags,
		mark: markOf(id, name, r.Tags, r.Managed)}
	s.ours = s.mark == marked
	return s, nil
}
