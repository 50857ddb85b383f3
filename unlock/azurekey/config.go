package azurekey

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/provider"
)

// Config says which keys open a store, and who asks for them. Begin with
// [DefaultConfig].
//
// A key is named by its address without a version,
// https://VAULT.vault.azure.net/keys/NAME, in any case. A slot is tried only if
// it is for a key that is named here. The content of the slot chooses only the
// version.
type Config struct {
	// URL of the key that opens the store. New slots are for this key.
	URL string `toml:"url"`

	// Also are more keys that open the store.
	Also []string `toml:"also"`

	Credential Credential `toml:"credential"`

	// Tell shows a person what they should know about a new slot. If it is nil,
	// the text is dropped.
	Tell func(text string)

	Transport http.RoundTripper // nil: one with our limits
	Clock     provider.Clock    // nil: the system's
}

// Credential is the identity that asks, as that of the provider azure.
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

// DefaultConfig returns the configuration by the managed identity of the machine,
// with AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and
// AZURE_FEDERATED_TOKEN_FILE for the other types of a credential.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	return Config{Credential: Credential(azureapi.DefaultCredential(getenv))}
}

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server. A Config without keys is valid, and opens nothing.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	if c.URL == "" && len(c.Also) > 0 {
		note("url", "is not set, and also is for more keys than that one")
	}
	for i, text := range c.urls() {
		setting := "url"
		if i > 0 {
			setting = "also (" + strconv.Itoa(i) + ")"
		}
		if _, err := parseURL(text); err != nil {
			note(setting, err.Error())
		}
	}
	if c.URL != "" {
		azureapi.Credential(c.Credential).Validate(note)
	}
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: strings.Join(problems, "; ")}
}

// urls returns the keys that are named, the first one first.
func (c Config) urls() []string {
	if c.URL == "" {
		return nil
	}
	return append([]string{c.URL}, c.Also...)
}

// CheckURL fails if text does not name a key.
func CheckURL(text string) error {
	if _, err := parseURL(text); err != nil {
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the address of the Azure key " + err.Error()}
	}
	return nil
}

// IsBeside reports whether a key is in the vault that holds a store.
func IsBeside(url string, store nebula.Description) bool {
	k, err := parseURL(url)
	return err == nil && store.Provider == "azure" && strings.HasPrefix(store.Address+"/", k.vaultURL()+"/")
}

// MayOpen reports whether a slot is for one of the keys. It asks nothing.
func (c Config) MayOpen(slot nebula.Slot) bool {
	data, err := slotdata.ParseAzureKey(slot.Data)
	if err != nil {
		return false
	}
	_, named := c.named(data.URL)
	return named
}

// named returns the configured key that is the one of a slot.
func (c Config) named(slot slotdata.AzureURL) (vaultKey, bool) {
	for _, text := range c.urls() {
		if k, err := parseURL(text); err == nil && k.host == slot.Host && strings.EqualFold(k.name, slot.Name) {
			return k, true
		}
	}
	return vaultKey{}, false
}

// vaultKey is a key as the user names it.
type vaultKey struct {
	host string // in lower case
	name string // in any case
}

func (k vaultKey) vaultURL() string { return "https://" + k.host }

// String returns the address.
func (k vaultKey) String() string { return k.vaultURL() + "/keys/" + k.name }

// vault returns the name of the vault, as the commands of az expect it.
func (k vaultKey) vault() string {
	name, _, _ := strings.Cut(k.host, ".")
	return name
}

const maxName = 127 // characters of a key's name

// parseURL reads the address of a key.
func parseURL(text string) (vaultKey, error) {
	u, err := httpx.ParseAddress(text)
	if err != nil {
		return vaultKey{}, err
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) == 4 && parts[1] == "keys" {
		return vaultKey{}, errors.New("names a version: leave it out, a slot remembers the one that wrapped it")
	}
	if len(parts) != 3 || parts[1] != "keys" || parts[2] == "" || len(parts[2]) > maxName || !azureapi.IsName(parts[2]) {
		return vaultKey{}, errors.New("must have the form https://NAME.vault.azure.net/keys/KEY")
	}
	vault := *u
	vault.Path = ""
	if err := azureapi.CheckURL(vault.String()); err != nil {
		return vaultKey{}, errors.New("does not begin with that of a vault, which " + err.Error())
	}
	return vaultKey{host: strings.ToLower(u.Hostname()), name: parts[2]}, nil
}
