package kubernetes

import (
	"context"
	"errors"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Provider keeps records in Secrets. Make it with [New], and put the layers of
// [middleware.Stack] around it: by itself it makes one attempt.
type Provider struct {
	config Config
	names  names
	clock  middleware.Clock
	access *access
	wire   *wire

	life remote.Life
}

var (
	_ nebula.Provider       = (*Provider)(nil)
	_ nebula.Connector      = (*Provider)(nil)
	_ nebula.Describer      = (*Provider)(nil)
	_ nebula.BatchRetriever = (*Provider)(nil)
	_ nebula.Checker        = (*Provider)(nil)
	_ middleware.Policied   = (*Provider)(nil)
)

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config) (*Provider, error) {
	a, err := config.resolve()
	if err != nil {
		return nil, err
	}
	if config.Clock == nil {
		config.Clock = middleware.SystemClock{}
	}
	w := newWire(httpx.Options{Roots: a.roots, TLS: a.tls, Proxy: a.proxy, Transport: config.Transport,
		MaxBody: maxListAnswer, Total: 2 * config.Timeout}, a)
	if c, ok := a.credential.(interface{ whenRenewed(renewed func()) }); ok {
		c.whenRenewed(w.renew)
	}
	if plugin, ok := a.credential.(*plugin); ok {
		plugin.clock = config.Clock
		if config.Stderr != nil {
			plugin.stderr = config.Stderr
		}
	}
	return &Provider{
		config: config,
		names:  names{namespace: config.Namespace, prefix: config.SecretPrefix},
		clock:  config.Clock,
		access: a,
		wire:   w,
	}, nil
}

// Policy implements [middleware.Policied]. Connecting has its own limit of time:
// a credential plugin may ask a person. Of a batch, each call has one.
func (p *Provider) Policy() middleware.Policy {
	return middleware.Policy{Retry: p.config.Retry, Timeout: p.config.Timeout, MaxConcurrency: 128,
		Unbounded: []string{middleware.OpConnect, middleware.OpRetrieveBatch}}
}

// Connect gets the token or certificate: it reads the token's file or runs the
// credential plugin, where there is one. It makes no call.
func (p *Provider) Connect(ctx context.Context) error {
	return p.fail("connect", nebula.Name{}, p.life.Connect(ctx, func(ctx context.Context) error {
		_, err := p.access.credential.authorization(ctx)
		return err
	}))
}

// State returns where in its life the provider is.
func (p *Provider) State() nebula.State { return p.life.State() }

// Close waits for the operations under way, and ends a credential plugin that
// nobody waits for any more.
func (p *Provider) Close() error {
	p.life.Close(func(bool) {
		if plugin, ok := p.access.credential.(*plugin); ok {
			plugin.close()
		}
		p.wire.close()
	})
	return nil
}

// Describe returns the address of the API server with namespace and prefix.
func (p *Provider) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, MaxRecordSize: maxRecord,
		Address: p.access.identity() + "/namespaces/" + p.names.namespace + "/secrets/" + p.names.prefix}
}

// secrets is the path of all Secrets of the namespace.
func (p *Provider) secrets() string { return "api/v1/namespaces/" + p.names.namespace + "/secrets" }

// call makes a call as whom the configuration says. Where that is refused and
// there is another token or certificate to be had, it is made again with that.
func (p *Provider) call(ctx context.Context, r request) (*answer, error) {
	who, err := p.access.credential.authorization(ctx)
	if err != nil {
		return nil, err
	}
	a, err := p.wire.do(ctx, r, who.header)
	if hasStatus(err, http.StatusUnauthorized) {
		other, failed := p.access.credential.replace(ctx, who)
		switch {
		case failed == nil:
			a, err = p.wire.do(ctx, r, other.header)
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

// read returns a credential's Secret, whole or its metadata alone.
func (p *Provider) read(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	object := p.names.secret(name)
	a, err := p.call(ctx, request{method: http.MethodGet, path: p.secrets() + "/" + object, accept: accept, verb: "get", resource: "secrets"})
	if err != nil {
		return secret{}, err
	}
	return decodeSecret(a, kind, object)
}

// readOurs is read, for a Secret that has to be the credential's and stay.
func (p *Provider) readOurs(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	s, err := p.read(ctx, name, accept, kind)
	switch {
	case err != nil:
		return secret{}, err
	case !p.names.holds(s.Metadata, name):
		return secret{}, p.errForeignSecret(s.Metadata.Name)
	case !s.Metadata.being():
		return secret{}, remote.ErrMissing()
	}
	return s, nil
}

// Retrieve implements [nebula.Provider]. It makes one call.
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	const op = "retrieve"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	s, err := p.readOurs(ctx, name, acceptJSON, kindSecret)
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	record, err := s.record(name)
	return record, p.fail(op, name, err)
}

// Exists implements [nebula.Provider]. It makes one call, for metadata.
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	const op = "exists"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return false, p.fail(op, name, err)
	}
	defer p.life.Leave()
	_, err := p.readOurs(ctx, name, acceptMetadata, kindMetadata)
	if err != nil && p.explain(err).Kind == nebula.ErrNotFound {
		return false, nil
	}
	return err == nil, p.fail(op, name, err)
}

// Delete implements [nebula.Provider]: for good. It makes two calls: whose the
// Secret is, and its deletion on condition that it is still the same object.
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	const op = "delete"
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	var err error
	for range mostRounds {
		if err = p.remove(ctx, name); !isRaced(err) {
			break
		}
	}
	if isMissing(err) {
		err = nil
	}
	return p.fail(op, name, err)
}

func (p *Provider) remove(ctx context.Context, name nebula.Name) error {
	s, err := p.read(ctx, name, acceptMetadata, kindMetadata)
	switch {
	case err != nil:
		return err
	case !p.names.holds(s.Metadata, name):
		return p.errForeignSecret(s.Metadata.Name)
	case !s.Metadata.being():
		return nil // what deletes it waits for others
	}
	_, err = p.call(ctx, request{method: http.MethodDelete, path: p.secrets() + "/" + s.Metadata.Name, accept: acceptMetadata,
		body: map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": map[string]string{"uid": s.Metadata.UID}},
		verb: "delete", resource: "secrets"})
	return err
}
