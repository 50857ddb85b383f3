package vault

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/vaultapi"
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
	if err := config.Validate(); err != nil {
		return nil, err
	}
	api, err := vaultapi.New(config.api(), o.Clock)
	if err != nil {
		return nil, err
	}
	return &driver{
		config: config, options: o, address: config.identity(), paths: config.paths(), api: api,
		recent:    provider.NewRecent[nebula.Name, nebula.Version](o.Clock, maxRecent, recentFor),
		attempted: provider.NewRecent[attempted, []attempt](o.Clock, maxAttempted, attemptedFor),
	}, nil
}

// driver keeps records in Vault.
type driver struct {
	config  Config
	options provider.Options
	address string
	paths   paths
	api     *vaultapi.Client

	background sync.WaitGroup
	changes    provider.Changes
	recent     *provider.Recent[nebula.Name, nebula.Version] // see recentFor
	attempted  *provider.Recent[attempted, []attempt]        // see noteAttempt

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
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
	provider.ForeignReader
} = (*driver)(nil)

// Open implements [provider.Opener]: it gets the token, by a login if the
// method is AppRole, else without a call. From then on the token is renewed in
// the background.
func (d *driver) Open(ctx context.Context) error {
	if err := d.api.Open(ctx); err != nil {
		return err
	}
	if !d.options.OneShot {
		d.api.KeepAlive(ctx, d.config.TokenRenewalThreshold, d.options.Warnings)
	}
	return nil
}

// Close implements [provider.Opener]: it ends the renewal, waits for it and for
// changes under way, and revokes the token if it came from a login of ours.
func (d *driver) Close() error {
	d.changes.Wait()
	d.background.Wait()
	d.api.Close()
	return nil
}

// Describe implements [provider.Driver]. The address has namespace, mount and
// prefix.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: d.address, MaxRecordSize: maxRecord}
}

// change makes a call that changes the content of a name.
func (d *driver) change(ctx context.Context, name nebula.Name, r vaultapi.Request) (*httpx.Answer, error) {
	return provider.Change(ctx, &d.changes, name, func(ctx context.Context) (*httpx.Answer, error) { return d.api.Call(ctx, r) })
}
