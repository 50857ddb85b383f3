package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/vault"
)

func TestConfigReportsEverything(t *testing.T) {
	c := vault.Config{Address: "http://vault.example.com", MountPath: "/secret/", PathPrefix: "/a/../b", Namespace: "a//b",
		Timeout: time.Hour, CACert: "/does/not/exist", TokenRenewalThreshold: 800 * time.Hour,
		Auth: vault.Auth{Method: "approle", MountPath: "approle//"}}
	p, err := vault.New(c)
	if p != nil {
		t.Error("New returned a provider")
	}
	wants(t, err, nebula.ErrInvalidConfig, "address must begin with https://", "mount_path", "path_prefix", "namespace", "timeout",
		"ca_cert", "token_renewal_threshold", "auth.mount_path", "auth.role_id", "auth.secret_id_file", "retry.base_delay_ms", "retry.multiplier")
}

func TestConfigOneByOne(t *testing.T) {
	for what, change := range map[string]func(*vault.Config){
		"address":                 func(c *vault.Config) { c.Address = "" },
		"holds a user":            func(c *vault.Config) { c.Address = "https://u:pw@vault.example.com" },
		"tls_verify":              func(c *vault.Config) { c.Address, c.TLSVerify = "https://vault.example.com", false },
		"mount_path":              func(c *vault.Config) { c.MountPath = "a/./b" },
		"timeout":                 func(c *vault.Config) { c.Timeout = 999 * time.Millisecond },
		"auth.method":             func(c *vault.Config) { c.Auth.Method = "ldap" },
		"token_renewal_threshold": func(c *vault.Config) { c.TokenRenewalThreshold = -1 },
		"retry.max_retries":       func(c *vault.Config) { c.Retry.MaxRetries = 11 },
	} {
		c := vault.DefaultConfig()
		c.Address = "http://127.0.0.1:8200"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		err := c.Validate()
		wants(t, err, nebula.ErrInvalidConfig, what)
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	for _, good := range []func(*vault.Config){
		func(c *vault.Config) { c.Address = "https://vault.example.com:8200/behind/a/proxy/" },
		func(c *vault.Config) { c.Address, c.TLSVerify = "http://[::1]:8200", false },
		func(c *vault.Config) { c.PathPrefix = "" },
		func(c *vault.Config) { c.PathPrefix = "nebula/credentials/" },
		func(c *vault.Config) { c.MountPath, c.Namespace = "team/secret", "org1/team-a/" },
		func(c *vault.Config) { c.MountPath = "secret/" },
		func(c *vault.Config) {
			c.Auth = vault.Auth{Method: "approle", MountPath: "approle/", RoleID: "r", SecretID: nebula.NewSecret([]byte("s"))}
		},
	} {
		c := vault.DefaultConfig()
		good(&c)
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// DefaultConfig reads the variables of Vault's own tools, and nothing reads them
// later.
func TestEnvironment(t *testing.T) {
	t.Setenv("VAULT_ADDR", "https://vault.example.com:8200")
	t.Setenv("VAULT_NAMESPACE", "org1")
	t.Setenv("VAULT_TOKEN", "hvs.x")
	t.Setenv("VAULT_CACERT", "/does/not/exist")
	t.Setenv("VAULT_MAX_RETRIES", "nonsense")
	c := vault.DefaultConfig()
	if c.Address != "https://vault.example.com:8200" || c.Namespace != "org1" || string(c.Auth.Token.Reveal()) != "hvs.x" {
		t.Errorf("%+v", c)
	}
	c.Address = "HTTPS://Vault.Example.com:8200/"
	p, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(p).Address; got != "https://vault.example.com:8200/org1/secret/nebula/credentials" {
		t.Errorf("the address is %q", got)
	}
}

// Without a token the provider cannot connect, and the error says what to do.
func TestNoToken(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("USERPROFILE", t.TempDir())
	p, err := vault.New(vault.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	wants(t, connect(t, p), nebula.ErrUnauthenticated, "vault login")
}
