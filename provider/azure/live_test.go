package azure_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/dnsname"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/providertest"
)

// clock runs ahead of the system's by the time slept, so that nothing waits. Server
// and providers share one.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time  { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Random() float64 { return 0.5 }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.ahead.Add(int64(d))
	return nil
}

// rig is a server and its clock.
type rig struct {
	*livetest.AzureVault
	clock *clock
}

func newRig(t testing.TB) *rig {
	c := new(clock)
	return &rig{AzureVault: livetest.NewAzure(t, azureserver.Options{Now: c.Now}), clock: c}
}

// principal returns a configuration for the service principal.
func (r *rig) principal() azure.Config {
	c := azure.DefaultConfigIn(func(string) string { return "" })
	c.VaultURL = r.URL()
	c.Transport = r.Server.Transport()
	c.Credential = azure.Credential{Type: azure.TypeServicePrincipal, TenantID: azureserver.TenantID,
		ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(r.Server.ClientSecret()))}
	return c
}

// machine returns a configuration for the managed identity of the system, or for the
// user-assigned one.
func (r *rig) machine(clientID string) azure.Config {
	c := r.principal()
	c.Credential = azure.Credential{Type: azure.TypeManagedIdentity, ClientID: clientID}
	return c
}

// few is the number of records in a rule if the same rules run elsewhere with more.
const few = 60

// made creates a provider with the rig's clock, unless the options name another one.
func (r *rig) made(t testing.TB, c azure.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := azure.New(c, append([]provider.Option{provider.WithClock(r.clock)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// full has the methods of every provider.
type full interface {
	nebula.Wrapper
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
}

// configured is a provider that remembers its configuration, for tests that
// open its backend again.
type configured struct {
	full
	config azure.Config
}

func (r *rig) configured(t *testing.T, c azure.Config, options ...provider.Option) configured {
	t.Helper()
	return configured{r.made(t, c, options...).(full), c}
}

func (r *rig) corrupt(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
	c := p.(configured).config
	host := strings.TrimPrefix(c.VaultURL, "https://")
	vault := r.Server.Vault(strings.TrimSuffix(host, ".vault.azure.net"))
	secret := c.SecretPrefix + dnsname.Encode(name, 127-len(c.SecretPrefix))
	latest, err := vault.Latest(secret)
	if err != nil {
		t.Fatal(err)
	}
	latest.Value = string(raw)
	vault.Add(latest)
}

func liveHarness(r *rig, maxStores int, config azure.Config) providertest.Harness {
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			c := config
			c.VaultURL = r.Server.Vault("v" + strings.ToLower(rand.Text()[:12])).URL()
			return r.configured(t, c, options...)
		},
		Reopen:  func(t *testing.T, p nebula.Provider) nebula.Provider { return r.configured(t, p.(configured).config) },
		Corrupt: r.corrupt,
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.Identifier, providertest.Fitter, providertest.Checker,
		},
		Preconditions: providertest.Racy,
		MaxRecordSize: 25_600,
		MaxTags:       14,
		AcceptsTag:    azure.AcceptsTag,
		MaxStores:     maxStores,
	}
}

func TestLiveConformancePrincipal(t *testing.T) {
	r := newRig(t)
	providertest.Run(t, liveHarness(r, 0, r.principal()))
}

// This uses the endpoint of virtual machines, with the identity of the system.
func TestLiveConformanceMachine(t *testing.T) {
	r := newRig(t)
	providertest.Run(t, liveHarness(r, few, r.machine("")))
}

// This uses the endpoint of App Service, with a user-assigned identity.
func TestLiveConformanceAppService(t *testing.T) {
	r := newRig(t)
	t.Setenv("IDENTITY_ENDPOINT", r.Server.IdentityEndpoint())
	t.Setenv("IDENTITY_HEADER", r.Server.IdentityHeader())
	providertest.Run(t, liveHarness(r, few, r.machine(azureserver.UserIdentity)))
}
