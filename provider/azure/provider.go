package azure

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "azure"

// maxRecord is the limit of a record, in bytes: that of a secret's value.
const maxRecord = 25_600

// driver keeps records in Azure Key Vault.
type driver struct {
	config Config
	names  names
	clock  provider.Clock
	vault  *azureapi.Vault
	client *azsecrets.Client

	warnings   *slog.Logger
	ours       *provider.Recent[nebula.Name, bool]  // names whose record was read or written here
	reads      *provider.Recent[nebula.Name, known] // and what that was
	asked      *provider.Recent[nebula.Name, bool]  // names whose recovery may be under way
	changes    provider.Changes
	recoveries *recoveries
}

const (
	// readHolds is how long an earlier read or write here counts as the read
	// before a write. Key Vault does not compare, so there is a gap between the
	// two in any case.
	readHolds = 2 * time.Second

	// maxRecent limits the size of each memory of names.
	maxRecent = 10_000
)

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
	vault, err := azureapi.NewVault(azureapi.Options{URL: config.VaultURL, Setting: "vault_url or AZURE_KEYVAULT_URL", Section: "storage.azure", Credential: azureapi.Credential(config.Credential),
		Timeout: config.Timeout, Transport: config.Transport, Clock: o.Clock,
		Warn: func(message string) { o.Warnings.Warn(message, slog.String("provider", providerName)) }})
	if err != nil {
		return nil, err
	}
	d := &driver{config: config, vault: vault, names: names{prefix: strings.ToLower(config.SecretPrefix)},
		clock: o.Clock, warnings: o.Warnings, recoveries: newRecoveries(),
		ours:  provider.NewRecent[nebula.Name, bool](o.Clock, maxRecent, 0),
		asked: provider.NewRecent[nebula.Name, bool](o.Clock, maxRecent, maxUndo),
		reads: provider.NewRecent[nebula.Name, known](o.Clock, maxRecent, readHolds)}
	if d.client, err = azsecrets.NewClient(vault.URL(), nil, &azsecrets.ClientOptions{ClientOptions: vault.ClientOptions()}); err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: "the client cannot be made", Err: err}
	}
	return d, nil
}

// Open implements [provider.Opener]: it gets the first token. The vault is not
// asked.
func (d *driver) Open(ctx context.Context) error { return d.vault.Login(ctx) }

// Close implements [provider.Opener]. It waits for deletions of recovered
// secrets, half a minute at most, and forgets the token: Azure has no way to
// give one back.
func (d *driver) Close() error {
	d.recoveries.close(func() {
		d.warnings.Warn("a deleted credential had been recovered to be written over: it is being deleted again, which takes half a minute at most")
	})
	d.changes.Wait()
	d.vault.Close()
	return nil
}

// Describe implements [provider.Driver], with the vault's address and the prefix.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, Address: d.vault.URL() + "/" + d.names.prefix, MaxRecordSize: maxRecord, SlowStore: true}
}
