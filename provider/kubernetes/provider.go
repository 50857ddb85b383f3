package kubernetes

import (
	"context"
	"errors"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

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

// policy says how the driver is called. Connecting has its own time limit,
// since a credential plugin may ask a person. In a batch, each call has its own
// time limit.
func (c Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: 128,
		Unbounded: []string{provider.OpConnect, provider.OpRetrieveBatch}}
}

// driver keeps records in Secrets.
type driver struct {
	config Config
	names  names
	clock  provider.Clock
	access *access
	wire   *wire

	changes provider.Changes // that are under way without their caller
	known   *provider.Recent[nebula.Name, known]
}

var _ interface {
	provider.Driver
	provider.Opener
	nebula.BatchRetriever
	nebula.Notifier
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
	provider.ForeignReader
} = (*driver)(nil)

func newDriver(config Config, o provider.Options) (*driver, error) {
	a, err := config.resolve()
	if err != nil {
		return nil, err
	}
	w := newWire(httpx.Options{Roots: a.roots, TLS: a.tls, Proxy: a.proxy, Transport: config.Transport,
		MaxBody: maxListAnswer, Total: 2 * config.Timeout}, a)
	if c, ok := a.credential.(interface{ whenRenewed(renewed func()) }); ok {
		c.whenRenewed(w.renew)
	}
	if plugin, ok := a.credential.(*plugin); ok {
		plugin.clock, plugin.stderr = o.Clock, o.Stderr
	}
	return &driver{
		config: config,
		names:  names{namespace: config.Namespace, prefix: config.SecretPrefix},
		clock:  o.Clock,
		access: a,
		wire:   w,
		known:  provider.NewRecent[nebula.Name, known](o.Clock, maxKnown, 0),
	}, nil
}

// Open implements [provider.Opener]. It gets the token or certificate: it reads
// the token's file or runs the credential plugin, if there is one. It makes no
// call.
func (d *driver) Open(ctx context.Context) error {
	_, err := d.access.credential.authorization(ctx)
	return err
}

// Close implements [provider.Opener]. It ends a credential plugin that nobody
// waits for any more.
func (d *driver) Close() error {
	d.changes.Wait()
	if plugin, ok := d.access.credential.(*plugin); ok {
		plugin.close()
	}
	d.wire.close()
	return nil
}

// Describe implements [provider.Driver]. The address is that of the API server
// with namespace and prefix.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, MaxRecordSize: maxRecord,
		Address: d.access.identity() + "/namespaces/" + d.names.namespace + "/secrets/" + d.names.prefix}
}

// secrets is the path of all Secrets of the namespace.
func (d *driver) secrets() string { return "api/v1/namespaces/" + d.names.namespace + "/secrets" }

// call makes a call with the configured identity. If the server refuses that
// and another token or certificate is available, it makes the call again with
// that.
func (d *driver) call(ctx context.Context, r request) (*httpx.Answer, error) {
	return d.identified(ctx, func(authorization string) (*httpx.Answer, error) { return d.wire.do(ctx, r, authorization) })
}

func (d *driver) identified(ctx context.Context, call func(authorization string) (*httpx.Answer, error)) (*httpx.Answer, error) {
	who, err := d.access.credential.authorization(ctx)
	if err != nil {
		return nil, err
	}
	a, err := call(who.header)
	if hasStatus(err, http.StatusUnauthorized) {
		other, failed := d.access.credential.replace(ctx, who)
		switch {
		case failed == nil:
			a, err = call(other.header)
		case !errors.Is(failed, errNoOther):
			return nil, failed
		}
	}
	return a, httpx.WithRetryAfter(err, a, d.clock.Now())
}

// change is call for a request that changes the content of a name.
func (d *driver) change(ctx context.Context, name nebula.Name, r request) (*httpx.Answer, error) {
	return provider.Change(ctx, &d.changes, name, func(ctx context.Context) (*httpx.Answer, error) { return d.call(ctx, r) })
}
