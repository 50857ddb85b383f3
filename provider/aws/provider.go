package aws

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

const (
	// maxRecord is the limit of a record, in bytes.
	maxRecord = 65_536

	// listLag is how late lists may be, as AWS documents it.
	listLag = 5 * time.Minute
)

// Provider keeps records in AWS Secrets Manager. Make it with [New], and put the
// layers of [middleware.Stack] around it: by itself it makes one attempt.
type Provider struct {
	config Config
	clock  middleware.Clock

	life    remote.Life
	session atomic.Pointer[session] // from Connect on
	changes remote.Changes
	writes  writes
}

var (
	_ nebula.Provider         = (*Provider)(nil)
	_ nebula.Connector        = (*Provider)(nil)
	_ nebula.Describer        = (*Provider)(nil)
	_ nebula.Restorer         = (*Provider)(nil)
	_ nebula.Purger           = (*Provider)(nil)
	_ nebula.Historian        = (*Provider)(nil)
	_ nebula.VersionRetriever = (*Provider)(nil)
	_ nebula.BatchRetriever   = (*Provider)(nil)
	_ nebula.Checker          = (*Provider)(nil)
	_ middleware.Policied     = (*Provider)(nil)
)

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config) (*Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Clock == nil {
		config.Clock = middleware.SystemClock{}
	}
	return &Provider{config: config, clock: config.Clock}, nil
}

// Policy implements [middleware.Policied]. A purge waits for AWS at length.
func (p *Provider) Policy() middleware.Policy {
	return middleware.Policy{Retry: p.config.Retry, Timeout: p.config.Timeout, MaxConcurrency: 128,
		Unbounded: []string{middleware.OpPurge}}
}

// Connect looks for region and credentials, without a call where they are in
// the environment or in files.
func (p *Provider) Connect(ctx context.Context) error {
	return p.fail("connect", nebula.Name{}, p.life.Connect(ctx, func(ctx context.Context) error {
		s, err := p.connect(ctx)
		if err == nil {
			p.session.Store(s)
		}
		return err
	}))
}

// State returns where in its life the provider is.
func (p *Provider) State() nebula.State { return p.life.State() }

// Close waits for the operations under way.
func (p *Provider) Close() error {
	p.life.Close(func(connected bool) {
		p.changes.Wait()
		if connected {
			p.session.Load().http.CloseIdleConnections()
		}
	})
	return nil
}

// Describe returns the address: region, account and prefix. The account is
// known once the provider is connected, and where the credentials tell it.
func (p *Provider) Describe() nebula.Description {
	s := p.session.Load()
	if s == nil {
		s = &session{region: p.config.Region, endpoint: p.config.EndpointURL}
	}
	return nebula.Description{Provider: providerName, Address: s.address(p.config.SecretPrefix), MaxRecordSize: maxRecord, ListLag: listLag}
}

// client is for use between Enter and Leave.
func (p *Provider) client() *secretsmanager.Client { return p.session.Load().client }

// Retrieve implements [nebula.Provider]. It makes one call.
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	const op = "retrieve"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	record, err := p.read(ctx, name, nil)
	return record, p.fail(op, name, err)
}

// read reads the version, or with nil the current one.
func (p *Provider) read(ctx context.Context, name nebula.Name, version *string) (nebula.Record, error) {
	id := p.secretID(name)
	in := &secretsmanager.GetSecretValueInput{SecretId: &id, VersionId: version}
	if stage := stageCurrent; version == nil {
		in.VersionStage = &stage
	}
	var looks refusals
	for round := 1; ; round++ {
		out, err := p.client().GetSecretValue(ctx, in)
		if err == nil {
			return record(name, out.SecretString, out.VersionId)
		}
		if err = p.ofDeleted(ctx, name, err, &looks); !isMoved(err) || round == mostRounds || looks.last() {
			return nebula.Record{}, err
		}
	}
}

// record reads what stands in a secret.
func record(name nebula.Name, value, version *string) (nebula.Record, error) {
	if version == nil {
		return nebula.Record{}, errForeignAnswer()
	}
	if value == nil { // it is binary
		return nebula.Record{}, remote.ErrForeign()
	}
	envelope, err := nebula.ParseEnvelope(name, []byte(*value))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: nebula.Version(*version)}, nil
}

// ofDeleted returns what it means that AWS refused to act on a secret in the
// state that it is in. Of the causes a deletion is asked for: there is no code
// of its own for it. Where the secret is not deleted, or no longer, that is an
// errMoved.
func (p *Provider) ofDeleted(ctx context.Context, name nebula.Name, err error, looks *refusals) error {
	if !hasCode(err, codeInvalidRequest) {
		return err
	}
	s, failed := p.describe(ctx, name)
	looks.look(s)
	switch {
	case failed == nil && s.live():
		return movedError{err}
	case failed == nil:
		return remote.ErrMissing()
	}
	return failed
}

// Exists implements [nebula.Provider]. It makes one call and fetches no value.
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	const op = "exists"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return false, p.fail(op, name, err)
	}
	defer p.life.Leave()
	s, err := p.describe(ctx, name)
	if isMissing(err) {
		return false, nil
	}
	return s.live() && s.current != "", p.fail(op, name, err)
}

// Delete implements [nebula.Provider]: it schedules the deletion for the end of
// the recovery window. It makes two calls, of which one looks whether the secret
// is one of ours.
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	const op = "delete"
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	var looks refusals
	err := p.remove(ctx, name, &looks)
	for round := 1; isMoved(err) && round < mostRounds && !looks.last(); round++ {
		err = p.remove(ctx, name, &looks)
	}
	if isMissing(err) {
		err = nil
	}
	return p.fail(op, name, err)
}

func (p *Provider) remove(ctx context.Context, name nebula.Name, looks *refusals) error {
	s, err := p.describe(ctx, name)
	switch {
	case err != nil:
		return err
	case !s.live():
		return nil
	case !s.ours():
		return remote.ErrForeign()
	}
	if err = p.schedule(ctx, name); err != nil {
		return p.ofDeleted(ctx, name, err, looks)
	}
	return nil
}

func (p *Provider) schedule(ctx context.Context, name nebula.Name) error {
	id, days := p.secretID(name), int64(p.config.RecoveryWindowDays)
	return change(ctx, p, name, p.client().DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: &days})
}

// change makes a call of the client that changes a secret, after those before
// it: see [remote.Change].
func change[In, Out any](ctx context.Context, p *Provider, name nebula.Name,
	call func(context.Context, In, ...func(*secretsmanager.Options)) (Out, error), in In) error {
	_, err := remote.Change(ctx, &p.changes, name, func(ctx context.Context) (Out, error) { return call(ctx, in) })
	return err
}
