package azure

import (
	"context"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Store implements [nebula.Provider]. It makes one call, and one before it that
// reads where neither the caller nor this provider read the credential: to
// check the precondition, and that no secret of others stands there.
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return "", p.fail(op, name, err)
	}
	defer p.life.Leave()
	if err := remote.CheckSize(providerName, envelope, maxRecord); err != nil {
		return "", p.fail(op, name, err)
	}
	tags, err := project(name, envelope, p.config.DefaultTags, p.clock.Now())
	if err != nil {
		return "", p.fail(op, name, err)
	}
	v, err := p.store(ctx, name, envelope, tags, options)
	if err != nil {
		return "", p.fail(op, name, err)
	}
	p.memory.noteOurs(name)
	return v, nil
}

func (p *Provider) store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, tags map[string]*string, options nebula.StoreOptions) (nebula.Version, error) {
	record := string(envelope.Bytes())
	if middleware.IsRepeat(ctx) {
		// No two seals are alike: if it stands there, an earlier attempt wrote
		// it. What cannot be told must not be taken for somebody else's write.
		s, err := p.look(ctx, name)
		if err != nil || s.ours && s.value == record {
			return s.version, err
		}
	}
	if err := p.mayWrite(ctx, name, options); err != nil {
		return "", err
	}
	parameters := azsecrets.SetSecretParameters{Value: &record, Tags: tags, SecretAttributes: &azsecrets.SecretAttributes{Expires: expiry(name, envelope)}}
	return p.put(ctx, name, parameters)
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
func (p *Provider) mayWrite(ctx context.Context, name nebula.Name, options nebula.StoreOptions) error {
	condition := options.Precondition
	seen, fresh := p.memory.takeSight(name, p.clock.Now())
	if middleware.IsRepeat(ctx) {
		fresh = false
	}
	switch {
	case fresh && (options.Previous != nil || seen == ""):
		return condition.Check(seen)
	case condition.IsZero() && (options.Previous != nil || p.memory.isOurs(name)):
		return nil
	}
	s, err := p.look(ctx, name)
	switch {
	case err != nil:
		return err
	case s.exists && !s.ours:
		return remote.ErrForeign()
	case s.exists && s.version == "" && !condition.IsZero():
		if condition.IsAbsent() {
			return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already, which is disabled in Key Vault"}
		}
		return p.errDisabled(p.names.secret(name))
	}
	return condition.Check(s.version)
}

// put writes a version. A deleted secret holds its name: it is recovered
// first, and what it held can be read from then until the new version stands.
func (p *Provider) put(ctx context.Context, name nebula.Name, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	var version nebula.Version
	err := p.settled(ctx, func(ctx context.Context) error {
		v, err := p.set(ctx, name, parameters)
		if !isDeleted(err) {
			version = v
			return err
		}
		if err := p.recover(ctx, name); err != nil {
			return err
		}
		return errMoving()
	})
	return version, err
}

func (p *Provider) set(ctx context.Context, name nebula.Name, parameters azsecrets.SetSecretParameters) (nebula.Version, error) {
	r, err := write(ctx, p, name, func(ctx context.Context) (azsecrets.SetSecretResponse, error) {
		return p.client.SetSecret(ctx, p.names.secret(name), parameters, nil)
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
func (p *Provider) recover(ctx context.Context, name nebula.Name) error {
	s, err := p.lookDeleted(ctx, name)
	if err != nil || !s.exists {
		return err // none: somebody else recovered it, or purged
	}
	if !s.ours {
		return remote.ErrForeign()
	}
	return p.askToRecover(ctx, name)
}

// askToRecover succeeds where somebody else asked before.
func (p *Provider) askToRecover(ctx context.Context, name nebula.Name) error {
	_, err := write(ctx, p, name, func(ctx context.Context) (azsecrets.RecoverDeletedSecretResponse, error) {
		return p.client.RecoverDeletedSecret(ctx, p.names.secret(name), nil)
	})
	if isMissing(err) || isMoving(err) {
		return nil
	}
	return err
}
