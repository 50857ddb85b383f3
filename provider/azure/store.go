package azure

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// known is the state of a name that was read or written a moment ago.
type known struct {
	byCaller    bool              // the caller was given it
	version     nebula.Version    // "" if there was none
	foreign     map[string]string // tags that others put there
	contentType string
}

func (s secret) known(byCaller bool) known {
	return known{byCaller: byCaller, version: s.version, foreign: s.foreignTags(), contentType: s.contentType}
}

// Store implements [provider.Driver]. It makes one call. If neither the caller
// nor this provider read or wrote the credential a moment ago, it makes a read
// before. The read checks the precondition and that no secret of others is
// stored there, and finds the tags of others, which are kept.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	tags, err := project(name, envelope, d.config.DefaultTags, d.clock.Now())
	if err != nil {
		return "", err
	}
	w := &writing{driver: d, name: name, envelope: envelope, tags: tags, options: options}
	v, err := w.run(ctx)
	if err != nil {
		return "", w.failed(ctx, err)
	}
	d.recoveries.settle(name)
	d.asked.Forget(name)
	d.ours.Note(name, true)
	d.reads.Note(name, known{version: v, foreign: w.kept.foreign, contentType: w.kept.contentType})
	return v, nil
}

// Delete implements [provider.Driver]: Key Vault's soft deletion. It makes one
// call for a credential that was read or written here before, else two. A
// condition is checked by a read immediately before. Another writer may come
// between.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (existed bool, err error) {
	if err := d.awaitRecovery(ctx, name); err != nil {
		return false, err
	}
	if !condition.IsZero() || !d.knowsOurs(name) {
		s, err := d.expect(ctx, name, condition, "")
		if err == nil && s.exists {
			err = d.mayRemove(ctx, s)
		}
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

// awaitRecovery returns when no recovery that this process asked for is under
// way. Until a recovery ends, the secret seems not to exist.
func (d *driver) awaitRecovery(ctx context.Context, name nebula.Name) error {
	if err := d.recoveries.await(ctx, name); err != nil {
		return err
	}
	return d.settled(ctx, func(ctx context.Context) error {
		if !d.askedToRecover(name) {
			return nil
		}
		s, err := inOrder(ctx, d, name, func(ctx context.Context) (secret, error) { return d.look(ctx, name) })
		if err == nil && !s.exists {
			s, err = d.lookDeleted(ctx, name)
		}
		switch {
		case err != nil:
			return err
		case !s.exists:
			return errMoving()
		}
		d.asked.Forget(name)
		return nil
	})
}

func (d *driver) askedToRecover(name nebula.Name) bool {
	_, asked := d.asked.Get(name)
	return asked
}

// expect reads the secret once earlier changes have ended, and fails if it
// belongs to others or does not meet the condition. A version that was
// recovered to be written over counts as deleted.
func (d *driver) expect(ctx context.Context, name nebula.Name, condition nebula.Precondition, recovered nebula.Version) (secret, error) {
	s, err := inOrder(ctx, d, name, func(ctx context.Context) (secret, error) { return d.look(ctx, name) })
	switch {
	case err != nil:
		return secret{}, err
	case s.exists && !s.ours:
		return secret{}, provider.NotARecord()
	case recovered != "" && s.version == recovered:
		return secret{}, condition.Check("")
	case s.exists && s.version == "" && condition.IsAbsent():
		return secret{}, &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already, which is disabled in Key Vault"}
	case s.exists && s.version == "" && !condition.IsZero():
		return secret{}, d.errDisabled(d.names.secret(name))
	}
	return s, condition.Check(s.version)
}

// mayRemove refuses to remove a record that has no tags of ours and is not
// sealed under this store's key. The prefix of another store may begin with
// ours, and then one name can belong to an id of either.
func (d *driver) mayRemove(ctx context.Context, s secret) error {
	if s.mark == marked {
		return nil
	}
	keyring, err := d.look(ctx, nebula.KeyringName())
	switch {
	case err != nil:
		return err
	case keyring.envelope != nil && s.envelope != nil && keyring.envelope.KeyID() == s.envelope.KeyID():
		return nil
	}
	return errUncertain()
}

// remove deletes the secret, and reports whether there was one.
func (d *driver) remove(ctx context.Context, name nebula.Name) (existed bool, err error) {
	_, err = write(ctx, d, name, func(ctx context.Context) (azsecrets.DeleteSecretResponse, error) {
		return d.client.DeleteSecret(ctx, d.names.secret(name), nil)
	})
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// noteOurs remembers that the secret holds a record of ours, so that a deletion
// need not read it. Only a deletion changes that, and then only if others write
// to our names.
func (d *driver) noteOurs(name nebula.Name, s secret) {
	if s.mark == marked {
		d.ours.Note(name, true)
	}
}

func (d *driver) knowsOurs(name nebula.Name) bool {
	_, known := d.ours.Get(name)
	return known
}

func (d *driver) forget(name nebula.Name) {
	d.ours.Forget(name)
	d.reads.Forget(name)
}
