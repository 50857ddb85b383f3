package vault_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
	"github.com/nebula-credential/nebula/providertest"
)

// policy returns the policy of docs/providers/vault.md, for a mount.
func policy(mount string) string {
	return fmt.Sprintf(`
path "%[1]s/data/*" { capabilities = ["create", "read", "update", "patch"] }
path "%[1]s/metadata/*" { capabilities = ["read", "update", "delete", "list"] }
path "%[1]s/delete/*" { capabilities = ["update"] }
path "%[1]s/undelete/*" { capabilities = ["update"] }
`, mount)
}

// liveConfig returns a configuration for the server, with its own folder and without
// background calls that a test did not ask for.
func liveConfig(s *livetest.VaultServer, mount string) vault.Config {
	c := vault.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath = s.Address, s.CAFile, mount
	c.PathPrefix = "p-" + strings.ToLower(rand.Text())
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	return c
}

// liveProviders remembers the configurations, for tests that open a backend again.
type liveProviders struct {
	configs map[nebula.Provider]vault.Config
	make    func(*testing.T) vault.Config
}

func (l *liveProviders) open(t *testing.T, c vault.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := vault.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	l.configs[p] = c
	return p
}

// few is the number of records in a rule if the same rules run elsewhere with more.
const few = 60

func liveHarness(s *livetest.VaultServer, maxStores int, configure func(*testing.T) vault.Config) providertest.Harness {
	l := &liveProviders{configs: make(map[nebula.Provider]vault.Config), make: configure}
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			return l.open(t, l.make(t), options...)
		},
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider { return l.open(t, l.configs[p]) },
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			c := l.configs[p]
			s.API(t, http.MethodPost, c.MountPath+"/data/"+c.PathPrefix+"/"+name.String(),
				map[string]any{"data": map[string]any{"record": string(raw)}})
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.Identifier, providertest.Fitter, providertest.Checker,
		},
		MaxRecordSize:   1_000_000,
		SharedDeletions: true,
		MaxTags:         63,
		AcceptsTag:      vault.AcceptsTag,
		MaxStores:       maxStores,
	}
}

func TestLiveConformanceRoot(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	providertest.Run(t, liveHarness(s, 0, func(*testing.T) vault.Config { return liveConfig(s, mount) }))
}

func TestLiveConformancePolicy(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	token := s.Token(t, map[string]any{"policies": []string{s.Policy(t, policy(mount))}})
	providertest.Run(t, liveHarness(s, few, func(*testing.T) vault.Config {
		c := liveConfig(s, mount)
		c.Auth.Token = nebula.NewSecret([]byte(token))
		return c
	}))
}

func TestLiveConformanceAppRole(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	authMount, roleID, secretID := s.AppRole(t, map[string]any{"token_policies": []string{s.Policy(t, policy(mount))}})
	providertest.Run(t, liveHarness(s, few, func(*testing.T) vault.Config {
		c := liveConfig(s, mount)
		c.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID,
			SecretID: nebula.NewSecret([]byte(secretID))}
		return c
	}))
}

// Everything also works without the capability patch, and with an engine that asks
// for a condition on each write.
func TestLiveConformanceUnpatched(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	s.API(t, http.MethodPost, mount+"/config", map[string]any{"cas_required": true})
	token := s.Token(t, map[string]any{"policies": []string{
		s.Policy(t, strings.ReplaceAll(policy(mount), `"patch", `, ""))}})
	h := liveHarness(s, few, func(*testing.T) vault.Config {
		c := liveConfig(s, mount)
		c.Auth.Token = nebula.NewSecret([]byte(token))
		return c
	})
	h.Corrupt = nil // a plain write is refused there
	providertest.Run(t, h)
}
