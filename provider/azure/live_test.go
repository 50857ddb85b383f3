package azure_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/foldname"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/providertest"
)

// clock runs as the system's does, and ahead of it by what was slept: nothing
// waits. Server and providers share one.
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

// rig is a server, and the clock by which it lives.
type rig struct {
	*livetest.AzureVault
	clock *clock
}

func newRig(t testing.TB) *rig {
	c := new(clock)
	return &rig{AzureVault: livetest.NewAzure(t, azureserver.Options{Now: c.Now}), clock: c}
}

// principal is a configuration for the service principal.
func (r *rig) principal() azure.Config {
	c := azure.DefaultConfigIn(func(string) string { return "" })
	c.VaultURL = r.URL()
	c.Clock, c.Transport = r.clock, r.Server.Transport()
	c.Credential = azure.Credential{Type: azure.TypeServicePrincipal, TenantID: azureserver.TenantID,
		ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(r.Server.ClientSecret()))}
	return c
}

// machine is a configuration for the managed identity of the system, or the
// user assigned one.
func (r *rig) machine(clientID string) azure.Config {
	c := r.principal()
	c.Credential = azure.Credential{Type: azure.TypeManagedIdentity, ClientID: clientID}
	return c
}

// few is the number of records of a rule where the same rules run elsewhere
// with more.
const few = 60

// liveProviders remembers the configurations, for those that open a backend again.
type liveProviders struct {
	r       *rig
	configs map[nebula.Provider]azure.Config
	layers  bool // put all of them around
}

func (l *liveProviders) open(t *testing.T, c azure.Config) nebula.Provider {
	t.Helper()
	bare, err := azure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := nebula.Provider(bare)
	if l.layers {
		p = middleware.Stack(p, middleware.Options{Clock: c.Clock})
	}
	l.configs[p] = c
	return p
}

func (l *liveProviders) corrupt(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
	c := l.configs[p]
	host := strings.TrimPrefix(c.VaultURL, "https://")
	vault := l.r.Server.Vault(strings.TrimSuffix(host, ".vault.azure.net"))
	secret := c.SecretPrefix + foldname.Encode(name, 127-len(c.SecretPrefix))
	latest, err := vault.Latest(secret)
	if err != nil {
		t.Fatal(err)
	}
	latest.Value = string(raw)
	vault.Add(latest)
}

func liveHarness(r *rig, most int, layers bool, config azure.Config) providertest.Harness {
	l := &liveProviders{r: r, configs: make(map[nebula.Provider]azure.Config), layers: layers}
	return providertest.Harness{
		New: func(t *testing.T) nebula.Provider {
			c := config
			c.VaultURL = r.Server.Vault("v" + strings.ToLower(rand.Text()[:12])).URL()
			return l.open(t, c)
		},
		Reopen:  func(t *testing.T, p nebula.Provider) nebula.Provider { return l.open(t, l.configs[p]) },
		Corrupt: l.corrupt,
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.Checker,
		},
		Preconditions: providertest.Racy,
		MaxRecordSize: 25_600,
		MaxTags:       14,
		AcceptsTag:    azure.AcceptsTag,
		MaxStores:     most,
	}
}

func TestLiveConformancePrincipal(t *testing.T) {
	r := newRig(t)
	providertest.Run(t, liveHarness(r, 0, false, r.principal()))
}

// The endpoint of virtual machines: the identity of the system.
func TestLiveConformanceMachine(t *testing.T) {
	r := newRig(t)
	providertest.Run(t, liveHarness(r, few, true, r.machine("")))
}

// The endpoint of App Service: a user assigned identity.
func TestLiveConformanceAppService(t *testing.T) {
	r := newRig(t)
	t.Setenv("IDENTITY_ENDPOINT", r.Server.IdentityEndpoint())
	t.Setenv("IDENTITY_HEADER", r.Server.IdentityHeader())
	providertest.Run(t, liveHarness(r, few, false, r.machine(azureserver.UserIdentity)))
}
