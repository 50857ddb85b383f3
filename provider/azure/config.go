package azure

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/dnsname"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// The types of [Credential].
const (
	managedIdentity  = "managed_identity"
	servicePrincipal = "service_principal"
	developerTools   = "developer_tools"
	workloadIdentity = "workload_identity"
)

// Config says where the records are and how to get at them. Begin with
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
	// Waiting for Azure between calls is not counted.
	Timeout time.Duration `toml:"timeout"`

	// DefaultTags are put on every secret that is written, unless the
	// credential has a tag with that key itself. No credential shows them.
	DefaultTags map[string]string `toml:"default_tags"`

	// ContentType is set on every secret that is written: at most 255
	// characters. "" leaves the one that is there. Policies may demand one.
	ContentType string `toml:"content_type"`

	// ExpiresAfter is when a secret that is written expires in Key Vault, if the
	// credential has no date of rotation, which is the expiry otherwise. It keeps
	// nobody from reading. 0 for no expiry, else an hour at least. Policies may
	// demand one.
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

	// ClientID of a service principal or a workload identity; of a user
	// assigned managed identity, "" is for the one assigned by the system.
	ClientID string `toml:"client_id"`

	// TenantID of a service principal or a workload identity. Developer tools
	// ask in the tenant of the vault if it is "".
	TenantID string `toml:"tenant_id"`

	// ClientSecretFile holds the secret of a service principal and is read for
	// each token. If it is "", ClientSecret is used.
	ClientSecretFile string `toml:"client_secret_file"`
	ClientSecret     nebula.Secret

	// FederatedTokenFile holds the token of a workload identity.
	FederatedTokenFile string `toml:"federated_token_file"`
}

// DefaultConfig returns the configuration for the vault of AZURE_KEYVAULT_URL,
// with AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and
// AZURE_FEDERATED_TOKEN_FILE, by the managed identity of the machine.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{
		VaultURL:     getenv("AZURE_KEYVAULT_URL"),
		SecretPrefix: "nebula-credentials-",
		Timeout:      5 * time.Second,
		Credential: Credential{
			Type:               managedIdentity,
			ClientID:           getenv("AZURE_CLIENT_ID"),
			TenantID:           getenv("AZURE_TENANT_ID"),
			FederatedTokenFile: getenv("AZURE_FEDERATED_TOKEN_FILE"),
		},
		Retry: provider.DefaultRetryPolicy(),
	}
	if secret := getenv("AZURE_CLIENT_SECRET"); secret != "" {
		c.Credential.ClientSecret = nebula.NewSecret([]byte(secret))
	}
	for _, variable := range []string{"AZURE_TOKEN_CREDENTIALS", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_AUTHORITY_HOST"} {
		if getenv(variable) != "" {
			c.unread = append(c.unread, variable)
		}
	}
	return c
}

// maxContentType is Key Vault's limit, in characters.
const maxContentType = 255

// maxPrefix leaves room for the longest id, which is shortened to no less.
const maxPrefix = maxName - dnsname.MinLength

// Validate reports all that is wrong, in one error of kind ErrInvalidConfig. It
// asks no server.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	_, _, wrongURL := parseVaultURL(c.VaultURL)
	if wrongURL != nil {
		note("vault_url", wrongURL.Error())
	}
	switch {
	case len(c.SecretPrefix) > maxPrefix:
		note("secret_prefix", fmt.Sprintf("has %d characters, %d are allowed: of the %d of a name an id takes up to %d",
			len(c.SecretPrefix), maxPrefix, maxName, dnsname.MinLength))
	case !isName(c.SecretPrefix):
		note("secret_prefix", strconv.Quote(c.SecretPrefix)+" holds a character that is not allowed in a name: use letters, digits and -")
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	c.validateSecrets(note)
	c.Credential.validate(note)
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

// validateSecrets is for what is set on every secret.
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

func (a Credential) validate(note func(setting, reason string)) {
	optional := func(setting, id string) {
		if id != "" && !isGUID(id) {
			note(setting, strconv.Quote(id)+" is not a GUID")
		}
	}
	needed := func(setting, variable, id string) {
		if id == "" {
			note(setting, "is not set, nor is "+variable)
		}
		optional(setting, id)
	}
	switch a.Type {
	case managedIdentity:
		optional("credential.client_id", a.ClientID)
	case developerTools:
		optional("credential.tenant_id", a.TenantID)
	case servicePrincipal:
		needed("credential.tenant_id", "AZURE_TENANT_ID", a.TenantID)
		needed("credential.client_id", "AZURE_CLIENT_ID", a.ClientID)
		if a.ClientSecretFile == "" && len(a.ClientSecret.Reveal()) == 0 {
			note(clientSecretFile, "is not set, nor is AZURE_CLIENT_SECRET")
		}
	case workloadIdentity:
		needed("credential.tenant_id", "AZURE_TENANT_ID", a.TenantID)
		needed("credential.client_id", "AZURE_CLIENT_ID", a.ClientID)
		if a.FederatedTokenFile == "" {
			note(federatedTokenFile, "is not set, nor is AZURE_FEDERATED_TOKEN_FILE")
		}
	default:
		note("credential.type", strconv.Quote(a.Type)+" is not one of managed_identity, service_principal, developer_tools, workload_identity")
	}
}

// policy says how the driver is called. What may have to wait for Azure limits
// its calls itself.
func (c Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: 128,
		Unbounded: []string{provider.OpConnect, provider.OpStore, provider.OpDelete, provider.OpRestore, provider.OpPurge}}
}

// isGUID reports whether s has the form 00000000-0000-0000-0000-000000000000.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
	}
	return true
}

// azureCloud is one of Azure's: where its vaults are, and who gives tokens for
// them.
type azureCloud struct {
	suffix   string // of the host of a vault
	login    string // host that gives tokens
	resource string // that tokens are for
}

func azureClouds() []azureCloud {
	return []azureCloud{
		{".vault.azure.net", "login.microsoftonline.com", "https://vault.azure.net"},
		{".vault.azure.cn", "login.chinacloudapi.cn", "https://vault.azure.cn"},
		{".vault.usgovcloudapi.net", "login.microsoftonline.us", "https://vault.usgovcloudapi.net"},
		{".vault.microsoftazure.de", "login.microsoftonline.de", "https://vault.microsoftazure.de"},
	}
}

// parseVaultURL returns the host of a vault in lower case, and its cloud. Tokens
// go to that host, so it has to be one of Azure's.
func parseVaultURL(text string) (host string, in azureCloud, err error) {
	u, err := httpx.ParseAddress(text)
	if err != nil {
		return "", azureCloud{}, err
	}
	host = strings.ToLower(u.Hostname())
	switch {
	case u.Scheme != "https":
		return "", azureCloud{}, errors.New("must begin with https://")
	case u.Path != "":
		return "", azureCloud{}, errors.New("has a path, which a vault has not")
	case u.Port() != "" && u.Port() != "443":
		return "", azureCloud{}, errors.New("has a port, which a vault has not")
	}
	var suffixes []string
	for _, c := range azureClouds() {
		if name, ok := strings.CutSuffix(host, c.suffix); ok && name != "" && isName(name) {
			return host, c, nil
		}
		suffixes = append(suffixes, "https://NAME"+c.suffix)
	}
	return "", azureCloud{}, errors.New("must be one of " + strings.Join(suffixes, ", "))
}

// vaultURL is the address of a vault as the SDK takes it.
func vaultURL(host string) string {
	return (&url.URL{Scheme: "https", Host: host}).String()
}
