package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// maxRecord is the limit of a record, in bytes. The server takes strings of
// 1 MiB, and Raft entries of 1 MiB with all that stands around the string.
const maxRecord = 1_000_000

// Provider keeps records in Vault. Make it with [New], and put the layers of
// [middleware.Stack] around it: by itself it makes one attempt.
type Provider struct {
	config  Config
	address string
	paths   paths
	clock   middleware.Clock
	wire    *wire
	auth    *authenticator

	life remote.Life

	background  sync.WaitGroup
	stopRenewal context.CancelFunc

	changes remote.Changes
	sights  sights

	excludes  atomic.Int32 // whether the server leaves deleted ones out of lists: 0 unknown, 1 yes, -1 no
	scheduled atomic.Bool  // a version was seen that Vault is to delete later
	unpatched atomic.Bool  // the token lacks the capability patch
}

var (
	_ nebula.Provider         = (*Provider)(nil)
	_ nebula.Connector        = (*Provider)(nil)
	_ nebula.Describer        = (*Provider)(nil)
	_ nebula.Restorer         = (*Provider)(nil)
	_ nebula.Purger           = (*Provider)(nil)
	_ nebula.Historian        = (*Provider)(nil)
	_ nebula.VersionRetriever = (*Provider)(nil)
	_ nebula.Checker          = (*Provider)(nil)
	_ middleware.Policied     = (*Provider)(nil)
)

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config) (*Provider, error) {
	r, err := config.resolve()
	if err != nil {
		return nil, err
	}
	if config.Clock == nil {
		config.Clock = middleware.SystemClock{}
	}
	w := &wire{
		address:   r.address,
		namespace: strings.Trim(config.Namespace, "/"),
		http: httpx.NewClient(httpx.Options{Roots: r.roots, Transport: config.Transport, MaxBody: maxListAnswer,
			Total: 2 * config.Timeout}),
	}
	return &Provider{
		config: config, address: config.identity(r), paths: r.paths, clock: config.Clock, wire: w,
		auth:        &authenticator{config: config.Auth, wire: w, clock: config.Clock, limit: config.Timeout},
		stopRenewal: func() {},
	}, nil
}

// Policy implements [middleware.Policied].
func (p *Provider) Policy() middleware.Policy {
	return middleware.Policy{Retry: p.config.Retry, Timeout: p.config.Timeout, MaxConcurrency: 128}
}

// Connect gets the token: by a login, where the method is AppRole, else without
// a call. From then on it is renewed in the background.
func (p *Provider) Connect(ctx context.Context) error {
	return p.fail("connect", nebula.Name{}, p.life.Connect(ctx, func(ctx context.Context) error {
		if err := p.auth.begin(ctx); err != nil {
			return err
		}
		if !p.config.OneShot {
			p.startRenewal(ctx)
		}
		return nil
	}))
}

// startRenewal leaves Connect's context behind: that governs the connecting.
func (p *Provider) startRenewal(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stopRenewal = cancel
	r := &renewer{auth: p.auth, clock: p.clock, logger: p.config.Logger, threshold: p.config.TokenRenewalThreshold,
		limit: p.config.Timeout, explain: p.explain}
	p.background.Go(func() { r.run(ctx) })
}

// State returns where in its life the provider is.
func (p *Provider) State() nebula.State { return p.life.State() }

// Close ends the renewal, waits for it and for the operations under way, and
// revokes the token where it came from a login of ours.
func (p *Provider) Close() error {
	p.life.Close(func(connected bool) {
		p.stopRenewal()
		p.changes.Wait()
		p.background.Wait()
		if connected {
			p.auth.revoke(context.Background())
		}
		p.auth.set(lease{})
		p.wire.http.CloseIdleConnections()
	})
	return nil
}

// Describe returns the address with namespace, mount and prefix.
func (p *Provider) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: p.address, MaxRecordSize: maxRecord}
}

// call makes a call with the token. Where the token is refused and there is
// another one to be had, it is made again with that.
func (p *Provider) call(ctx context.Context, r request) (*answer, error) {
	l := p.auth.lease()
	r.token = l.token
	a, err := p.wire.do(ctx, r)
	denied := isInvalidToken(err) || hasStatus(err, http.StatusForbidden) && l.expired(p.clock.Now())
	if denied {
		other, failed := p.auth.replace(ctx, l.token)
		switch {
		case failed == nil:
			r.token = other
			a, err = p.wire.do(ctx, r)
		case !errors.Is(failed, errNoOther):
			return nil, failed
		}
	}
	if err != nil && a != nil {
		if after := remote.RetryAfter(a.header, p.clock.Now()); after != nil {
			err = errors.Join(err, after)
		}
	}
	return a, err
}

// Retrieve implements [nebula.Provider]. It makes one call.
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	const op = "retrieve"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	s, err := p.read(ctx, name, 0)
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	record, err := s.record(name)
	p.sights.note(name, s.version(), p.clock.Now())
	return record, p.fail(op, name, err)
}

// Exists implements [nebula.Provider]. It reads the metadata: one call.
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	const op = "exists"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return false, p.fail(op, name, err)
	}
	defer p.life.Leave()
	m, err := p.readMetadata(ctx, name)
	if isMissing(err) {
		return false, nil
	}
	return m.live(), p.fail(op, name, err)
}

// Delete implements [nebula.Provider]: Vault's soft deletion of the latest
// version. It makes one call.
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	return p.remove(ctx, "delete", "data", name)
}

// change makes a call that changes what stands under a name.
func (p *Provider) change(ctx context.Context, name nebula.Name, r request) (*answer, error) {
	return remote.Change(ctx, &p.changes, name, func(ctx context.Context) (*answer, error) { return p.call(ctx, r) })
}

// remove deletes in one of the engine's trees.
func (p *Provider) remove(ctx context.Context, op, tree string, name nebula.Name) error {
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	p.sights.forget(name)
	_, err := p.change(ctx, name, request{method: http.MethodDelete, path: p.paths.secret(tree, name)})
	if isMissing(err) {
		err = nil
	}
	return p.fail(op, name, err)
}
