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
	"github.com/nebula-credential/nebula/provider"
)

// maxRecord is the limit of a record, in bytes. The server takes strings of
// 1 MiB, and Raft entries of 1 MiB with everything around the string.
const maxRecord = 1_000_000

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config, options ...provider.Option) (nebula.Provider, error) {
	o := provider.NewOptions(options...)
	d, err := newDriver(config, o)
	if err != nil {
		return nil, err
	}
	return provider.New(d, config.policy(), o), nil
}

func newDriver(config Config, o provider.Options) (*driver, error) {
	r, err := config.resolve()
	if err != nil {
		return nil, err
	}
	w := &wire{
		address:   r.address,
		namespace: strings.Trim(config.Namespace, "/"),
		http: httpx.NewClient(httpx.Options{Roots: r.roots, Transport: config.Transport, MaxBody: maxListAnswer,
			Total: 2 * config.Timeout}),
	}
	return &driver{
		config: config, options: o, address: config.identity(r), paths: r.paths, wire: w,
		auth:        &authenticator{config: config.Auth, wire: w, clock: o.Clock, limit: config.Timeout},
		stopRenewal: func() {},
		recent:      provider.NewRecent[nebula.Name, nebula.Version](o.Clock, maxRecent, recentFor),
		attempted:   provider.NewRecent[attempted, []attempt](o.Clock, maxAttempted, attemptedFor),
	}, nil
}

// driver keeps records in Vault.
type driver struct {
	config  Config
	options provider.Options
	address string
	paths   paths
	wire    *wire
	auth    *authenticator

	background  sync.WaitGroup
	stopRenewal context.CancelFunc

	changes   provider.Changes
	recent    *provider.Recent[nebula.Name, nebula.Version] // see recentFor
	attempted *provider.Recent[attempted, []attempt]        // see noteAttempt

	excludes  atomic.Int32 // whether the server leaves deleted ones out of lists: 0 unknown, 1 yes, -1 no
	scheduled atomic.Bool  // a version was seen that Vault is to delete later
	unpatched atomic.Bool  // the token lacks the capability patch
	extended  atomic.Bool  // the keyring was written again: see extendKeyring
}

var _ interface {
	provider.Driver
	provider.Opener
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.Checker
} = (*driver)(nil)

// Open implements [provider.Opener]: it gets the token, by a login if the
// method is AppRole, else without a call. From then on the token is renewed in
// the background.
func (d *driver) Open(ctx context.Context) error {
	if err := d.auth.begin(ctx); err != nil {
		return err
	}
	if !d.options.OneShot {
		d.startRenewal(ctx)
	}
	return nil
}

// startRenewal leaves Open's context behind: that governs the opening.
func (d *driver) startRenewal(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.stopRenewal = cancel
	r := &renewer{auth: d.auth, clock: d.options.Clock, logger: d.options.Warnings, threshold: d.config.TokenRenewalThreshold,
		limit: d.config.Timeout, explain: d.Explain}
	d.background.Go(func() { r.run(ctx) })
}

// Close implements [provider.Opener]: it ends the renewal, waits for it and for
// changes under way, and revokes the token if it came from a login of ours.
func (d *driver) Close() error {
	d.stopRenewal()
	d.changes.Wait()
	d.background.Wait()
	d.auth.revoke(context.Background())
	d.auth.set(lease{})
	d.wire.http.CloseIdleConnections()
	return nil
}

// Describe implements [provider.Driver]. The address has namespace, mount and
// prefix.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: d.address, MaxRecordSize: maxRecord}
}

// call makes a call with the token. If the server refuses the token and another
// one is available, it makes the call again with that.
func (d *driver) call(ctx context.Context, r request) (*httpx.Answer, error) {
	l := d.auth.lease()
	r.token = l.token
	a, err := d.wire.do(ctx, r)
	denied := isInvalidToken(err) || hasStatus(err, http.StatusForbidden) && l.expired(d.options.Clock.Now())
	if denied {
		other, failed := d.auth.replace(ctx, l.token)
		switch {
		case failed == nil:
			r.token = other
			a, err = d.wire.do(ctx, r)
		case !errors.Is(failed, errNoOther):
			return nil, failed
		}
	}
	return a, httpx.WithRetryAfter(err, a, d.options.Clock.Now())
}

// change makes a call that changes what is stored under a name.
func (d *driver) change(ctx context.Context, name nebula.Name, r request) (*httpx.Answer, error) {
	return provider.Change(ctx, &d.changes, name, func(ctx context.Context) (*httpx.Answer, error) { return d.call(ctx, r) })
}
