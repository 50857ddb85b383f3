package azure

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// maxRecord is the limit of a record, in bytes: that of a secret's value.
const maxRecord = 25_600

// Provider keeps records in Azure Key Vault. Make it with [New], and put the
// layers of [middleware.Stack] around it: by itself it makes one attempt.
type Provider struct {
	config Config
	host   string
	cloud  azureCloud
	names  names
	clock  middleware.Clock
	auth   *authenticator
	client *azsecrets.Client
	http   *http.Client // below client

	life    remote.Life
	memory  memory
	changes remote.Changes
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
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Clock == nil {
		config.Clock = middleware.SystemClock{}
	}
	host, in, err := parseVaultURL(config.VaultURL)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: config, host: host, cloud: in, names: names{prefix: strings.ToLower(config.SecretPrefix)},
		clock: config.Clock, http: newTransport(config)}
	p.auth = newAuthenticator(config, in)
	w := &wire{host: host, auth: p.auth}
	if p.client, err = w.newClient(p.http); err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: "the client cannot be made", Err: err}
	}
	return p, nil
}

func newAuthenticator(c Config, in azureCloud) *authenticator {
	a := &authenticator{config: c.Credential, cloud: in, clock: c.Clock, limit: c.Timeout}
	if c.Credential.Type == TypeDeveloperTools {
		a.limit = toolsLimit
	}
	a.logins, a.client = newLogins(c)
	a.running, a.stop = context.WithCancel(context.Background())
	a.warn = func(message string) {
		if c.Logger != nil {
			c.Logger.Warn(message, slog.String("provider", providerName))
		}
	}
	return a
}

// Policy implements [middleware.Policied]. What may have to wait for Azure
// limits its calls itself.
func (p *Provider) Policy() middleware.Policy {
	return middleware.Policy{Retry: p.config.Retry, Timeout: p.config.Timeout, MaxConcurrency: 128,
		Unbounded: []string{middleware.OpConnect, middleware.OpStore, middleware.OpDelete, middleware.OpRestore, middleware.OpPurge}}
}

// Connect gets the first token. The vault is not asked.
func (p *Provider) Connect(ctx context.Context) error {
	return p.fail("connect", nebula.Name{}, p.life.Connect(ctx, func(ctx context.Context) error {
		_, err := p.auth.bearer(ctx, "")
		return err
	}))
}

// State returns where in its life the provider is.
func (p *Provider) State() nebula.State { return p.life.State() }

// Close waits for the operations under way and forgets the token. Azure has no
// way to give one back.
func (p *Provider) Close() error {
	p.life.Close(func(bool) {
		p.changes.Wait()
		p.auth.close()
		p.http.CloseIdleConnections()
	})
	return nil
}

// Describe returns the vault's address with the prefix.
func (p *Provider) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: vaultURL(p.host) + "/" + p.names.prefix, MaxRecordSize: maxRecord, SlowStore: true}
}

// Retrieve implements [nebula.Provider]. It makes one call.
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	const op = "retrieve"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	s, err := p.get(ctx, name, "")
	switch {
	case isMissing(err):
		p.memory.noteSight(name, "", p.clock.Now())
	case err == nil && s.ours:
		p.memory.noteOurs(name)
		p.memory.noteSight(name, s.version, p.clock.Now())
	}
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	record, err := s.record(name)
	return record, p.fail(op, name, err)
}

// Exists implements [nebula.Provider]. It reads the secret, in one call: a
// list is not known to be right after a deletion.
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	const op = "exists"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return false, p.fail(op, name, err)
	}
	defer p.life.Leave()
	s, err := p.get(ctx, name, "")
	switch {
	case isMissing(err):
		return false, nil
	case isDisabled(err):
		return true, nil
	case err == nil && !s.ours:
		err = remote.ErrForeign()
	}
	return err == nil, p.fail(op, name, err)
}

// Delete implements [nebula.Provider]: Key Vault's soft deletion. It makes one
// call for a credential that was read or written here before, else two.
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	const op = "delete"
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	if !p.memory.isOurs(name) {
		s, err := p.look(ctx, name)
		if err == nil && s.exists && !s.ours {
			err = remote.ErrForeign()
		}
		if err != nil || !s.exists {
			return p.fail(op, name, err)
		}
	}
	p.memory.forget(name)
	return p.fail(op, name, p.settled(ctx, func(ctx context.Context) error { return p.remove(ctx, name) }))
}

// remove deletes what stands there. Where nothing does, it succeeds.
func (p *Provider) remove(ctx context.Context, name nebula.Name) error {
	_, err := write(ctx, p, name, func(ctx context.Context) (azsecrets.DeleteSecretResponse, error) {
		return p.client.DeleteSecret(ctx, p.names.secret(name), nil)
	})
	if isMissing(err) {
		return nil
	}
	return err
}
