package azure

import (
	"context"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Store implements [provider.Driver]. It makes one call, and one before it that
// reads if neither the caller nor this provider read the credential: to check
// the precondition, and that no secret of others stands there.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	tags, err := project(name, envelope, d.config.DefaultTags, d.clock.Now())
	if err != nil {
		return "", err
	}
	v, err := d.store(ctx, name, envelope, tags, options)
	if err != nil {
		return "", err
	}
	d.ours.Note(name, true)
	return v, nil
}

func (d *driver) store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, tags map[string]*string, options nebula.StoreOptions) (nebula.Version, error) {
	record := string(envelope.Bytes())
	if provider.IsRepeat(ctx) {
		// No two seals are alike: if it stands there, an earlier attempt wrote
		// it. What cannot be told must not be taken for somebody else's write.
		s, err := d.look(ctx, name)
		if err != nil || s.ours && s.value == record {
			return s.version, err
		}
	}
	if err := d.mayWrite(ctx, name, options); err != nil {
		return "", err
	}
	parameters := azsecrets.SetSecretParameters{Value: &record, Tags: tags, SecretAttributes: &azsecrets.SecretAttributes{Expires: expiry(name, envelope)}}
	return d.put(ctx, name, parameters)
}

// expiry returns when the credential is due for rotation, for Key Vault to
// remind of. It does not keep anybody from reading it.
func expiry(name nebula.Name, envelope *nebula.Envelope) *time.Time {
	if name.IsKeyring() {
		return nil
	}
	due, ok := envelope.Metadata().DueAt()
	if !ok || due.Year() > 9999 {
		return nil
	}
	return &due
}

// mayWrite checks the precondition, and that the name is ours to write. Key
// Vault compares nothing when it writes, so both hold for the moment before.
func (d *driver) mayWrite(ctx context.Context, name nebula.Name, options nebula.StoreOptions) error {
	condition := options.Precondition
	seen, fresh := d.reads.Take(name)
	if provider.IsRepeat(ctx) {
		fresh = false
	}
	switch {
	case fresh && (options.Previous != nil || seen == ""):
		return condition.Check(seen)
	case condition.IsZero() && (options.Previous != nil || d.knowsOurs(name)):
		return nil
	}
	_, err := d.expect(ctx, name, condition)
	return err
}

// expect reads what stands there, and fails if it is of others or if the
// condition does not hold for it.
func (d *driver) expect(ctx context.Context, name nebula.Name, condition nebula.Precondition) (secret, error) {
	s, err := d.look(ctx, name)
	switch {
	case err != nil:
		return secret{}, err
	case s.exists && !s.ours:
		return secret{}, provider.NotARecord()
	case s.exists && s.version == "" && condition.IsAbsent():
		return secret{}, &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already, which is disabled in Key Vault"}
	case s.exists && s.version == "" && !condition.IsZero():
		return secret{}, d.errDisabled(d.names.secret(name))
	}
	return s, condition.Check(s.version)
}

// put writes a version. A deleted secret holds its name: it is recovered
// first, and what it held can be read from then until the new version stands.
func (d *driver) put(ctx context.Context, name nebula.Name, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	var version nebula.Version
	err := d.settled(ctx, func(ctx context.Context) error {
		v, err := d.set(ctx, name, parameters)
		if !isDeleted(err) {
			version = v
			return err
		}
		if err := d.recover(ctx, name); err != nil {
			return err
		}
		return errMoving()
	})
	return version, err
}

func (d *driver) set(ctx context.Context, name nebula.Name, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	r, err := write(ctx, d, name, func(ctx context.Context) (azsecrets.SetSecretResponse, error) {
		return d.client.SetSecret(ctx, d.names.secret(name), parameters, nil)
	})
	if err != nil {
		return "", err
	}
	if r.ID == nil {
		return "", errForeignAnswer()
	}
	_, version, ok := parseSecretID(string(*r.ID))
	if !ok || version == "" {
		return "", errForeignAnswer()
	}
	return nebula.Version(version), nil
}

// recover asks Key Vault to recover a deleted secret, if it is one of ours.
func (d *driver) recover(ctx context.Context, name nebula.Name) error {
	s, err := d.lookDeleted(ctx, name)
	if err != nil || !s.exists {
		return err // none: somebody else recovered it, or purged
	}
	if !s.ours {
		return provider.NotARecord()
	}
	return d.askToRecover(ctx, name)
}

// askToRecover succeeds where somebody else asked before.
func (d *driver) askToRecover(ctx context.Context, name nebula.Name) error {
	_, err := write(ctx, d, name, func(ctx context.Context) (azsecrets.RecoverDeletedSecretResponse, error) {
		return d.client.RecoverDeletedSecret(ctx, d.names.secret(name), nil)
	})
	if isMissing(err) || isMoving(err) {
		return nil
	}
	return err
}

// Delete implements [provider.Driver]: Key Vault's soft deletion. It makes one
// call for a credential that was read or written here before, else two. A
// condition is checked by a read just before: another writer may come between.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (existed bool, err error) {
	if !condition.IsZero() || !d.knowsOurs(name) {
		s, err := d.expect(ctx, name, condition)
		if err != nil || !s.exists {
			return false, err
		}
	}
	d.forget(name)
	err = d.settled(ctx, func(ctx context.Context) error {
		existed, err = d.remove(ctx, name)
		return err
	})
	return existed, err
}

// remove deletes what stands there, and reports whether anything did.
func (d *driver) remove(ctx context.Context, name nebula.Name) (existed bool, err error) {
	_, err = write(ctx, d, name, func(ctx context.Context) (azsecrets.DeleteSecretResponse, error) {
		return d.client.DeleteSecret(ctx, d.names.secret(name), nil)
	})
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// knowsOurs reports whether a record of ours was found there. Only a deletion
// changes that, and then only if others write to our names.
func (d *driver) knowsOurs(name nebula.Name) bool {
	_, known := d.ours.Get(name)
	return known
}

func (d *driver) forget(name nebula.Name) {
	d.ours.Forget(name)
	d.reads.Forget(name)
}
