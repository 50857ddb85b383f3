package azure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/azure"
)

const someGUID = "01234567-89ab-CDEF-0123-456789abcdef"

func TestConfigReportsEverything(t *testing.T) {
	c := azure.Config{VaultURL: "http://team.vault.azure.net", SecretPrefix: "a_b", Timeout: time.Hour,
		DefaultTags: map[string]string{"a=b": "x", "long": strings.Repeat("🔑", 129)},
		Credential:  azure.Credential{Type: "service_principal", TenantID: "team.onmicrosoft.com"}}
	p, err := azure.New(c)
	if p != nil {
		t.Error("New returned a provider")
	}
	wants(t, err, nebula.ErrInvalidConfig, "vault_url must begin with https://", "secret_prefix", "timeout", `tag "a=b" is not valid`, `tag "long" has a value of 258`,
		"credential.tenant_id", "is not a GUID", "credential.client_id is not set", "credential.client_secret_file", "retry.base_delay_ms", "retry.multiplier")
}

func TestConfigOneByOne(t *testing.T) {
	many := make(map[string]string)
	for _, c := range "abcdefghijklmno" {
		many[string(c)] = "x"
	}
	for _, test := range []struct {
		what   string
		change func(*azure.Config)
	}{
		{"AZURE_KEYVAULT_URL", func(c *azure.Config) { c.VaultURL = "" }},
		{"content_type has 256", func(c *azure.Config) { c.ContentType = strings.Repeat("x", 256) }},
		{"expires_after is 1m0s", func(c *azure.Config) { c.ExpiresAfter = time.Minute }},
		{"expires_after", func(c *azure.Config) { c.ExpiresAfter = -time.Hour }},
		{"vault_url is not set", func(c *azure.Config) { c.VaultURL = "" }},
		{"vault_url must be one of https://NAME.vault.azure.net", func(c *azure.Config) { c.VaultURL = "https://team.vault.azure.net.evil.example" }},
		{"vault_url has a path", func(c *azure.Config) { c.VaultURL = "https://evil.example/.vault.azure.net" }},
		{"vault_url must be one of", func(c *azure.Config) { c.VaultURL = "https://a.b.vault.azure.net" }},
		{"vault_url must be one of", func(c *azure.Config) { c.VaultURL = "https://.vault.azure.net" }},
		{"vault_url must be one of", func(c *azure.Config) { c.VaultURL = "https://127.0.0.1" }},
		{"vault_url must begin with https://", func(c *azure.Config) { c.VaultURL = "http://localhost" }},
		{"vault_url has a path", func(c *azure.Config) { c.VaultURL = "https://team.vault.azure.net/secrets" }},
		{"vault_url has a port", func(c *azure.Config) { c.VaultURL = "https://team.vault.azure.net:8443" }},
		{"vault_url holds a user", func(c *azure.Config) { c.VaultURL = "https://u:pw@team.vault.azure.net" }},
		{"vault_url holds a query", func(c *azure.Config) { c.VaultURL = "https://team.vault.azure.net?x" }},
		{"secret_prefix has 74 characters, 73 are allowed", func(c *azure.Config) { c.SecretPrefix = strings.Repeat("x", 74) }},
		{"secret_prefix", func(c *azure.Config) { c.SecretPrefix = "a.b" }},
		{"timeout", func(c *azure.Config) { c.Timeout = 999 * time.Millisecond }},
		{"default_tags", func(c *azure.Config) { c.DefaultTags = many }},
		{"credential.type", func(c *azure.Config) { c.Credential.Type = "password" }},
		{"credential.client_id", func(c *azure.Config) { c.Credential.ClientID = "mine" }},
		{"credential.tenant_id", func(c *azure.Config) {
			c.Credential = azure.Credential{Type: azure.TypeDeveloperTools, TenantID: "x; rm"}
		}},
		{"credential.federated_token_file", func(c *azure.Config) {
			c.Credential = azure.Credential{Type: azure.TypeWorkloadIdentity, TenantID: someGUID, ClientID: someGUID}
		}},
		{"retry.max_retries", func(c *azure.Config) { c.Retry.MaxRetries = 11 }},
	} {
		c := azure.DefaultConfigIn(func(string) string { return "" })
		c.VaultURL = "https://team.vault.azure.net"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		test.change(&c)
		err := c.Validate()
		wants(t, err, nebula.ErrInvalidConfig, test.what)
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	for _, good := range []func(*azure.Config){
		func(c *azure.Config) { c.VaultURL = "HTTPS://Team-1.Vault.Azure.NET:443/" },
		func(c *azure.Config) { c.SecretPrefix = "" },
		func(c *azure.Config) { c.SecretPrefix = strings.Repeat("X", 73) },
		func(c *azure.Config) { c.Credential.ClientID = someGUID },
	} {
		c := azure.DefaultConfigIn(func(string) string { return "" })
		c.VaultURL = "https://team.vault.azure.net"
		good(&c)
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// DefaultConfig reads the variables of Azure's own tools. The address is the same in
// every spelling.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{"AZURE_KEYVAULT_URL": "HTTPS://Team.Vault.Azure.net:443/", "AZURE_TENANT_ID": someGUID,
		"AZURE_CLIENT_ID": someGUID, "AZURE_CLIENT_SECRET": "canary", "AZURE_FEDERATED_TOKEN_FILE": "/token"} {
		t.Setenv(name, value)
	}
	c := azure.DefaultConfig()
	if c.Credential.TenantID != someGUID || c.Credential.ClientID != someGUID || string(c.Credential.ClientSecret.Reveal()) != "canary" ||
		c.Credential.FederatedTokenFile != "/token" || c.Credential.Type != azure.TypeManagedIdentity {
		t.Errorf("%+v", c)
	}
	c.SecretPrefix = "Nebula-"
	p, err := azure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.(nebula.Describer).Describe().Address; got != "https://team.vault.azure.net/nebula-" {
		t.Errorf("the address is %q", got)
	}
}
