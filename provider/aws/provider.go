package aws

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// maxRecord is the limit of a record, in bytes.
	maxRecord = 65_536

	// listLag is how late lists may be, as AWS documents it.
	listLag = 5 * time.Minute

	// maxConcurrency bounds the calls under way.
	maxConcurrency = 128
)

// driver has every ability.
type driver struct {
	config  Config
	clock   provider.Clock
	session atomic.Pointer[session] // from Open on
	changes provider.Changes
	writes  writes
	turns   turns

	batchDenied atomic.Bool // AWS refused a call that reads a batch
}

var _ interface {
	provider.Driver
	provider.Opener
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
	provider.ForeignReader
} = (*driver)(nil)

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config, options ...provider.Option) (nebula.Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	o := provider.NewOptions(options...)
	d := &driver{config: config, clock: o.Clock, writes: newWrites(o.Clock)}
	return provider.New(d, config.policy(), o), nil
}

// policy says how the driver is called. A purge may wait for AWS at length. A
// login may wait for the source of the credentials, and each of its steps has its
// own limit.
func (c *Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: maxConcurrency,
		Unbounded: []string{provider.OpPurge, provider.OpConnect, provider.OpForeignNames}}
}

// Open implements [provider.Opener]. It looks for region and credentials,
// without a call if they are in the environment or in files.
func (d *driver) Open(ctx context.Context) error {
	s, err := d.connect(ctx)
	if err == nil {
		d.session.Store(s)
	}
	return err
}

// Close implements [provider.Opener].
func (d *driver) Close() error {
	d.changes.Wait()
	if s := d.session.Load(); s != nil {
		s.login.HTTP.CloseIdleConnections()
	}
	return nil
}

// Describe implements [provider.Driver]. The address is region, account and
// prefix. The account is known once the provider is connected, if the
// credentials tell it.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: d.address(), MaxRecordSize: maxRecord, ListLag: listLag}
}

// client is for an open driver.
func (d *driver) client() *secretsmanager.Client { return d.session.Load().client }

// change makes a call of the client that changes a secret, after those before
// it: see [provider.Changes].
func change[In, Out any](ctx context.Context, d *driver, name nebula.Name,
	call func(context.Context, In, ...func(*secretsmanager.Options)) (Out, error), in In) (Out, error) {
	return provider.Change(ctx, &d.changes, name, func(ctx context.Context) (Out, error) { return call(ctx, in) })
}
