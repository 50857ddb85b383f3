package azure

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "azure"

// maxRecord is the limit of a record, in bytes: that of a secret's value.
const maxRecord = 25_600

// driver keeps records in Azure Key Vault.
type driver struct {
	config Config
	host   string
	cloud  azureCloud
	names  names
	clock  provider.Clock
	auth   *authenticator
	client *azsecrets.Client
	http   *http.Client // below client

	warnings   *slog.Logger
	ours       *provider.Recent[nebula.Name, bool]  // names whose record was read or written here
	reads      *provider.Recent[nebula.Name, known] // and what that was
	asked      *provider.Recent[nebula.Name, bool]  // names whose recovery may be under way
	changes    provider.Changes
	recoveries *recoveries
}

const (
	// readHolds is how long what was read or written here is as good as another
	// read before a write. Key Vault does not compare, so that there is a time
	// between the two in any case.
	readHolds = 2 * time.Second

	// maxRecent bounds what is remembered of names, each kind.
	maxRecent = 10_000
)

var _ interface {
	provider.Driver
	provider.Opener
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.Checker
} = (*driver)(nil)

// New returns a provider to be connected, or the error of [Config.Validate]. It
// makes no call.
func New(config Config, options ...provider.Option) (nebula.Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	o := provider.NewOptions(options...)
	d, err := newDriver(config, o)
	if err != nil {
		return nil, err
	}
	return provider.New(d, config.policy(), o), nil
}

func newDriver(config Config, o provider.Options) (*driver, error) {
	host, in, err := parseVaultURL(config.VaultURL)
	if err != nil {
		return nil, err
	}
	d := &driver{config: config, host: host, cloud: in, names: names{prefix: strings.ToLower(config.SecretPrefix)},
		clock: o.Clock, http: newTransport(config), warnings: o.Warnings, recoveries: newRecoveries(),
		ours:  provider.NewRecent[nebula.Name, bool](o.Clock, maxRecent, 0),
		asked: provider.NewRecent[nebula.Name, bool](o.Clock, maxRecent, maxUndo),
		reads: provider.NewRecent[nebula.Name, known](o.Clock, maxRecent, readHolds)}
	d.auth = newAuthenticator(config, in, o)
	w := &wire{host: host, auth: d.auth}
	if d.client, err = w.newClient(d.http); err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: "the client cannot be made", Err: err}
	}
	return d, nil
}

func newAuthenticator(c Config, in azureCloud, o provider.Options) *authenticator {
	a := &authenticator{config: c.Credential, cloud: in, clock: o.Clock, limit: c.Timeout}
	if c.Credential.Type == developerTools {
		a.limit = toolsLimit
	}
	a.logins, a.client = newLogins(c)
	a.running, a.stop = context.WithCancel(context.Background())
	a.warn = func(message string) {
		o.Warnings.Warn(message, slog.String("provider", providerName))
	}
	return a
}

// Open implements [provider.Opener]: it gets the first token. The vault is not
// asked.
func (d *driver) Open(ctx context.Context) error {
	_, err := d.auth.bearer(ctx, "")
	return err
}

// Close implements [provider.Opener]. It waits for what is to be deleted again,
// half a minute at most, and forgets the token: Azure has no way to give one
// back.
func (d *driver) Close() error {
	d.recoveries.close(func() {
		d.warnings.Warn("a deleted credential had been recovered to be written over: it is being deleted again, which takes half a minute at most")
	})
	d.changes.Wait()
	d.auth.close()
	d.http.CloseIdleConnections()
	return nil
}

// Describe implements [provider.Driver], with the vault's address and the prefix.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: vaultURL(d.host) + "/" + d.names.prefix, MaxRecordSize: maxRecord, SlowStore: true}
}
