package azure

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/dnsname"
	"github.com/nebula-credential/nebula/provider"
)

// Config says where the records are and how to reach them. Begin with
// [DefaultConfig].
type Config struct {
	// VaultURL is https://NAME.vault.azure.net, or NAME below the suffix of a
	// sovereign cloud: .vault.azure.cn, .vault.usgovcloudapi.net,
	// .vault.microsoftazure.de. There is no default.
	VaultURL string `toml:"vault_url"`

	// SecretPrefix begins the names of all secrets: letters, digits and
	// hyphens, at most 73 characters. Case makes no difference.
	SecretPrefix string `toml:"secret_prefix"`

	// Timeout of a call that reads, 1 to 60 s; one that writes has twice that.
	// Waiting for Azure between calls does not count.
	Timeout time.Duration `toml:"timeout"`

	// DefaultTags are put on every secret that is written, unless the
	// credential itself has a tag with that key. No credential shows them.
	DefaultTags map[string]string `toml:"default_tags"`

	// ContentType is set on every secret that is written: at most 255
	// characters. "" keeps the existing one. Policies may demand one.
	ContentType string `toml:"content_type"`

	// ExpiresAfter is when a secret that is written expires in Key Vault, if the
	// credential has no date of rotation. Otherwise that date is the expiry. An
	// expired secret can still be read. 0 for no expiry, else at least an hour.
	// Policies may demand one.
	ExpiresAfter time.Duration `toml:"expires_after"`

	Credential Credential           `toml:"credential"`
	Retry      provider.RetryPolicy `toml:"retry"`

	Transport http.RoundTripper // nil: one with our limits

	// unread are variables of Azure's other tools that are set and not read.
	unread []string
}

// Credential is the identity that tokens are requested for.
type Credential struct {
	// Type is managed_identity, service_principal, developer_tools (the login
	// of "az login" or "azd auth login") or workload_identity.
	Type string `toml:"type"`

	// ClientID of a service principal, a workload identity or a user assigned
	// managed identity. For a managed identity, "" is the one assigned by the
	// system.
	ClientID string `toml:"client_id"`

	// TenantID of a service principal or a workload identity. If it is "",
	// developer tools ask in the tenant of the vault.
	TenantID string `toml:"tenant_id"`

	// ClientSecretFile holds the secret of a service principal and is read for
	// each token. "" means the secret of AZURE_CLIENT_SECRET.
	ClientSecretFile string `toml:"client_secret_file"`

	// ClientSecret is used if ClientSecretFile is "": by default that of
	// AZURE_CLIENT_SECRET.
	ClientSecret nebula.Secret

	// FederatedTokenFile holds the token of a workload identity.
	FederatedTokenFile string `toml:"federated_token_file"`
}

// DefaultConfig returns the configuration for the vault of AZURE_KEYVAULT_URL,
// with AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and
// AZURE_FEDERATED_TOKEN_FILE, by the managed identity of the machine.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	return Config{
		VaultURL:     getenv("AZURE_KEYVAULT_URL"),
		SecretPrefix: "nebula-credentials-",
		Timeout:      5 * time.Second,
		Credential:   Credential(azureapi.DefaultCredential(getenv)),
		Retry:        provider.DefaultRetryPolicy(),
		unread:       azureapi.Unread(getenv),
	}
}

// maxContentType is Key Vault's limit, in characters.
const maxContentType = 255

// maxPrefix leaves room for the longest id, which is shortened to no less.
const maxPrefix = maxName - dnsname.MinLength

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	wrongURL := azureapi.CheckURL(c.VaultURL)
	if wrongURL != nil {
		note("vault_url", wrongURL.Error())
	}
	switch {
	case len(c.SecretPrefix) > maxPrefix:
		note("secret_prefix", fmt.Sprintf("has %d characters, %d are allowed: of the %d of a name an id takes up to %d",
			len(c.SecretPrefix), maxPrefix, maxName, dnsname.MinLength))
	case !azureapi.IsName(c.SecretPrefix):
		note("secret_prefix", strconv.Quote(c.SecretPrefix)+" holds a character that is not allowed in a name: use letters, digits and -")
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	c.validateSecrets(note)
	azureapi.Credential(c.Credential).Validate(note)
	var retry *nebula.Error
	if errors.As(c.Retry.Validate(), &retry) {
		problems = append(problems, retry.Message)
	}
	if problems == nil {
		return nil
	}
	e := &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: strings.Join(problems, "; ")}
	if wrongURL != nil {
		e.Hint = "set vault_url in [storage.azure], or AZURE_KEYVAULT_URL, to https://NAME.vault.azure.net"
	}
	return e
}

// validateSecrets checks the settings for every secret.
func (c Config) validateSecrets(note func(setting, reason string)) {
	if n := length(c.ContentType); n > maxContentType {
		note("content_type", fmt.Sprintf("has %d characters, %d are allowed", n, maxContentType))
	}
	if c.ExpiresAfter != 0 && c.ExpiresAfter < time.Hour {
		note("expires_after", fmt.Sprintf("is %v, 0 or 1h and more are allowed", c.ExpiresAfter))
	}
	if len(c.DefaultTags) >= maxTags {
		note("default_tags", fmt.Sprintf("are %d, Key Vault keeps %d, and one of them is taken", len(c.DefaultTags), maxTags))
	}
	for _, key := range slices.Sorted(maps.Keys(c.DefaultTags)) {
		note("default_tags: tag "+strconv.Quote(key), wrongTag(key, c.DefaultTags[key]))
	}
}

// policy says how the driver is called. Operations that may wait for Azure
// limit their calls themselves.
func (c Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: 128,
		Unbounded: []string{provider.OpConnect, provider.OpStore, provider.OpDelete, provider.OpRestore, provider.OpPurge, provider.OpForeignNames}}
}
