package transit

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/vaultapi"
)

// Config says which keys open a store, where they are, and how to reach them.
// Begin with [DefaultConfig]. A slot is tried only if it is for a key that is
// named here. The content of the slot chooses neither server nor path.
type Config struct {
	// Key opens the store, and new slots are for it: its name, without the path of
	// the engine.
	Key string `toml:"key"`

	// Also are more keys that open the store.
	Also []string `toml:"also"`

	// MountPath of the secrets engine, transit; no slash at its beginning.
	MountPath string `toml:"mount_path"`

	// Address of the server: https, or http to this machine.
	Address string `toml:"address"`

	// Namespace of Vault Enterprise; "" for none.
	Namespace string `toml:"namespace"`

	// CACert is a file of PEM certificates that are trusted instead of the
	// system's.
	CACert string `toml:"ca_cert"`

	Auth Auth `toml:"auth"`

	// Tell shows a person what they should know about a new slot. If it is nil,
	// the text is dropped.
	Tell func(text string)

	Transport http.RoundTripper // nil: one with our limits

	environment vaultapi.Environment // see DefaultConfigIn
}

// Auth is the identity that requests are made with.
type Auth struct {
	// Method is "token" or "approle".
	Method string `toml:"method"`

	// TokenFile holds the token. "" is the token of VAULT_TOKEN, then the file
	// ~/.vault-token.
	TokenFile string `toml:"token_file"`

	// Token is used if TokenFile is "": by default that of VAULT_TOKEN.
	Token nebula.Secret

	// RoleID of the AppRole.
	RoleID string `toml:"role_id"`

	// SecretIDFile holds the secret id of AppRole and is read at each login.
	SecretIDFile string `toml:"secret_id_file"`

	// SecretID is used if SecretIDFile is "".
	SecretID nebula.Secret

	// MountPath of the AppRole engine; no slash at its beginning.
	MountPath string `toml:"mount_path"`
}

// DefaultConfig returns the configuration for the engine transit/ of the server
// of VAULT_ADDR, with VAULT_TOKEN and VAULT_NAMESPACE, or of one on this machine.
// It names no key.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	api := vaultapi.DefaultConfigIn(getenv)
	return Config{MountPath: "transit", Address: api.Address, Namespace: api.Namespace, Auth: Auth(api.Auth), environment: api.Environment}
}

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server. A Config without keys is valid and opens nothing, whatever its
// other settings are: VAULT_ADDR may be meant for other programs.
func (c Config) Validate() error {
	if c.Key == "" && len(c.Also) == 0 {
		return nil
	}
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	if c.Key == "" && len(c.Also) > 0 {
		note("key", "is not set, and also is for more keys than that one")
	}
	for i, name := range c.keys() {
		setting := "key"
		if i > 0 {
			setting = "also"
		}
		note(setting, wrongName(name))
	}
	note("mount_path", vaultapi.WrongPath(c.MountPath))
	c.api().Validate(note)
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: strings.Join(problems, "; ")}
}

// section is put before the names of settings in messages, to tell them from
// those of the provider.
const section = "vault_transit."

// wrongName says what is wrong with the name of a key, or returns "". Vault
// accepts no other names.
func wrongName(name string) string {
	switch {
	case strings.Contains(name, "/"):
		return strconv.Quote(name) + " is not a name: the path of the engine belongs in mount_path"
	case len(name) > 256 || !regexp.MustCompile(`^\w([\w.-]*\w)?$`).MatchString(name):
		return strconv.Quote(name) + " is not the name of a transit key: letters, digits, _ - and ."
	}
	return ""
}

// CheckKey fails if text does not name a key.
func CheckKey(text string) error {
	if reason := wrongName(text); reason != "" {
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the transit key " + reason}
	}
	return nil
}

// MayOpen reports whether a slot is for one of the keys. It asks nothing.
func (c Config) MayOpen(slot nebula.Slot) bool {
	data, err := slotdata.ParseVaultTransit(slot.Data)
	return err == nil && c.has(data)
}

// has compares the key in a slot with the configuration. It never follows the
// slot.
func (c Config) has(data slotdata.VaultTransit) bool {
	return data.Mount == c.mount() && slices.Contains(c.keys(), data.Name)
}

func (c Config) mount() string { return strings.TrimSuffix(c.MountPath, "/") }

// keys returns the keys that are named, the first one first.
func (c Config) keys() []string {
	if c.Key == "" {
		return nil
	}
	return append([]string{c.Key}, c.Also...)
}

// IsAt reports whether the engine is in the Vault that also holds a store, by
// the description of the store's provider.
func (c Config) IsAt(store nebula.Description) bool {
	return store.Provider == "vault" && strings.HasPrefix(store.Address+"/", c.serverWithout()+"/")
}

// serverWithout names the server without a namespace: anyone who operates it
// operates all of them.
func (c Config) serverWithout() string {
	api := c.api()
	api.Namespace = ""
	return api.Server()
}

func (c Config) api() vaultapi.Config {
	return vaultapi.Config{Address: c.Address, Namespace: c.Namespace, CACert: c.CACert, Timeout: timeout, Auth: vaultapi.Auth(c.Auth),
		Transport: c.Transport, Environment: c.environment, Section: section}
}
