package azure

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// writing is one Store.
type writing struct {
	driver   *driver
	name     nebula.Name
	envelope *nebula.Envelope
	tags     projection
	options  nebula.StoreOptions

	kept known // what of the secret that is written over stays

	// recovered is the version of a deleted secret that was recovered to be
	// written over. If it has no tags of ours, it must be read first.
	recovered nebula.Version
	unsure    bool
}

func (w *writing) run(ctx context.Context) (nebula.Version, error) {
	v, err := w.write(ctx)
	if err != nil || !w.name.IsKeyring() || w.options.Precondition.IsZero() {
		return v, err
	}
	return v, w.confirm(ctx, v)
}

// confirm waits until every writer of the keyring has written that checked
// before this one wrote. Then it reads whose keyring is stored. All but one of
// them find another's.
func (w *writing) confirm(ctx context.Context, v nebula.Version) error {
	d := w.driver
	if stopped := d.clock.Sleep(ctx, confirmAfter); stopped != nil {
		return &nebula.Error{Kind: nebula.KindOf(stopped), Err: stopped,
			Message: "the keyring was written, and not yet seen to be the current one: Key Vault compares nothing when it writes"}
	}
	s, err := d.look(ctx, w.name)
	switch {
	case err != nil:
		e := *d.explain(err)
		e.Err = errors.Join(e.Err, provider.ErrUnclear)
		return &e
	case s.version == v:
		return nil
	}
	if err := w.options.Precondition.Check(s.version); err != nil {
		return err
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the keyring that was written is no longer the current one"}
}

// write is one attempt.
func (w *writing) write(ctx context.Context) (nebula.Version, error) {
	d := w.driver
	var err error
	if w.recovered, err = d.recoveries.claim(ctx, w.name); err != nil {
		return "", err
	}
	if provider.IsRepeat(ctx) {
		// No two seals are alike: if this one is stored, an earlier attempt
		// wrote it. If that cannot be found out, it must not be taken for
		// somebody else's write.
		s, err := inOrder(ctx, d, w.name, func(ctx context.Context) (secret, error) { return d.look(ctx, w.name) })
		if err != nil || s.ours && s.value == string(w.envelope.Bytes()) {
			return s.version, err
		}
	}
	if err := w.begin(ctx); err != nil {
		return "", err
	}
	parameters, err := w.parameters()
	if err != nil {
		return "", err
	}
	return w.put(ctx, parameters)
}

// begin checks the precondition and that we may write the name, and finds what
// must be kept. Key Vault compares nothing when it writes, so all this holds
// for the moment before.
func (w *writing) begin(ctx context.Context) error {
	d, condition := w.driver, w.options.Precondition
	recent, fresh := d.reads.Take(w.name)
	if provider.IsRepeat(ctx) || w.recovered != "" {
		fresh = false
	}
	if fresh && (condition.IsZero() || recent.byCaller && (w.options.Previous != nil || recent.version == "")) {
		w.kept = recent
		return condition.Check(recent.version)
	}
	s, err := d.expect(ctx, w.name, condition, w.recovered)
	if err == nil {
		w.kept = s.known(false)
	}
	return err
}

func (w *writing) parameters() (azsecrets.SetSecretParameters, error) {
	c := w.driver.config
	tags, err := w.tags.with(w.kept.foreign)
	if err != nil {
		return azsecrets.SetSecretParameters{}, err
	}
	p := azsecrets.SetSecretParameters{Value: new(string(w.envelope.Bytes())), Tags: tags,
		SecretAttributes: &azsecrets.SecretAttributes{Expires: w.expiry()}}
	switch {
	case c.ContentType != "":
		p.ContentType = &c.ContentType
	case w.kept.contentType != "":
		p.ContentType = &w.kept.contentType
	}
	return p, nil
}

// expiry returns the date on which the credential is due for rotation, of which
// Key Vault then reminds, or else the date that the configuration sets. An
// expired secret can still be read.
func (w *writing) expiry() *time.Time {
	if !w.name.IsKeyring() {
		if due, ok := w.envelope.Metadata().DueAt(); ok && due.Year() <= 9999 {
			return &due
		}
	}
	after := w.driver.config.ExpiresAfter
	if after == 0 {
		return nil
	}
	return new(w.driver.clock.Now().Add(after))
}

// put writes a version. A deleted secret holds its name: it is recovered first,
// and its old value can be read from then until the new version is stored.
func (w *writing) put(ctx context.Context, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	var version nebula.Version
	err := w.driver.settled(ctx, func(ctx context.Context) error {
		if err := w.identify(ctx); err != nil {
			return err
		}
		v, err := w.driver.set(ctx, w.name, parameters)
		if !isDeleted(err) {
			version = v
			return err
		}
		if err := w.recover(ctx); err != nil {
			return err
		}
		return errMoving()
	})
	return version, err
}

// recover asks Key Vault to recover a deleted secret, if it is one of ours.
func (w *writing) recover(ctx context.Context) error {
	d := w.driver
	s, err := d.lookDeleted(ctx, w.name)
	switch {
	case err != nil:
		return err
	case !s.exists: // somebody else recovered it, or purged
		_, err = d.expect(ctx, w.name, w.options.Precondition, w.recovered)
		return err
	case s.mark == foreign:
		return provider.NotARecord()
	}
	w.recovered, w.unsure = s.version, s.mark == unmarked
	d.recoveries.begin(w.name, s.version)
	return d.askToRecover(ctx, w.name)
}

// identify reads a recovered secret that has no tags of ours.
func (w *writing) identify(ctx context.Context) error {
	if !w.unsure {
		return nil
	}
	s, err := w.driver.look(ctx, w.name)
	switch {
	case err != nil:
		return err
	case !s.exists:
		return errMoving()
	case !s.ours:
		return provider.NotARecord()
	}
	w.unsure = false
	return nil
}

// failed ends a write that did not succeed. A secret that it recovered is
// deleted again, and the error says so.
func (w *writing) failed(ctx context.Context, err error) error {
	if w.recovered == "" {
		return err
	}
	return w.driver.deleteAgain(ctx, w.name, w.recovered, err)
}

func (d *driver) set(ctx context.Context, name nebula.Name, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	r, err := write(ctx, d, name, func(ctx context.Context) (azsecrets.SetSecretResponse, error) {
		return d.client.SetSecret(ctx, d.names.secret(name), parameters, nil)
	})
	if err != nil {
		return "", err
	}
	if r.ID == nil {
		return "", d.vault.ForeignAnswer()
	}
	_, version, ok := parseSecretID(string(*r.ID))
	if !ok || version == "" {
		return "", d.vault.ForeignAnswer()
	}
	return nebula.Version(version), nil
}

// askToRecover succeeds if somebody else asked before.
func (d *driver) askToRecover(ctx context.Context, name nebula.Name) error {
	d.asked.Note(name, true)
	_, err := write(ctx, d, name, func(ctx context.Context) (azsecrets.RecoverDeletedSecretResponse, error) {
		return d.client.RecoverDeletedSecret(ctx, d.names.secret(name), nil)
	})
	if isMissing(err) || isMoving(err) {
		return nil
	}
	return err
}
