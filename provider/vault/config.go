package vault

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// Config says where the records are and how to reach them. Begin with
// [DefaultConfig].
type Config struct {
	// Address of the server: https, or http to this machine.
	Address string `toml:"address"`

	// MountPath of the secrets engine, KV version 2; no slash at its beginning.
	MountPath string `toml:"mount_path"`

	// PathPrefix is the folder of the credentials. "" is the mount itself.
	PathPrefix string `toml:"path_prefix"`

	// Namespace of Vault Enterprise; "" for none.
	Namespace string `toml:"namespace"`

	// Timeout of an attempt at reading, 1 to 60 s; writing has twice that.
	Timeout time.Duration `toml:"timeout"`

	// TLSVerify must be true for https. For a server with a private
	// certificate, set CACert.
	TLSVerify bool `toml:"tls_verify"`

	// CACert is a file of PEM certificates that are trusted instead of the
	// system's.
	CACert string `toml:"ca_cert"`

	// TokenRenewalThreshold: a token is renewed when less than this, or less
	// than a third of its life, is left.
	TokenRenewalThreshold time.Duration `toml:"token_renewal_threshold"`

	Auth  Auth                 `toml:"auth"`
	Retry provider.RetryPolicy `toml:"retry"`

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

// DefaultConfig returns the configuration for the server of VAULT_ADDR, with
// VAULT_TOKEN and VAULT_NAMESPACE, or for one on this machine.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
// The configuration remembers which other variables of Vault's tools are set
// there: they are not read, and a check warns of them.
func DefaultConfigIn(getenv func(variable string) string) Config {
	api := vaultapi.DefaultConfigIn(getenv)
	return Config{
		Address:               api.Address,
		MountPath:             "secret",
		PathPrefix:            "nebula/credentials",
		Namespace:             api.Namespace,
		Timeout:               api.Timeout,
		TLSVerify:             true,
		TokenRenewalThreshold: time.Hour,
		Auth:                  Auth(api.Auth),
		Retry:                 provider.DefaultRetryPolicy(),
		environment:           api.Environment,
	}
}

// api returns the settings that the provider shares with other clients of a
// Vault.
func (c Config) api() vaultapi.Config {
	return vaultapi.Config{Address: c.Address, Namespace: c.Namespace, CACert: c.CACert, Timeout: c.Timeout, Auth: vaultapi.Auth(c.Auth),
		Transport: c.Transport, Environment: c.environment}
}

// maxTTL is how long a token lives at most unless the server was set up
// otherwise. A threshold beyond it would never be met.
const maxTTL = 768 * time.Hour

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	c.api().Validate(note)
	if !c.TLSVerify && strings.HasPrefix(strings.ToLower(c.Address), "https:") {
		note("tls_verify", "is false, which is refused for https: name the server's authority in ca_cert")
	}
	note("mount_path", vaultapi.WrongPath(c.MountPath))
	if c.PathPrefix != "" {
		note("path_prefix", vaultapi.WrongPath(c.PathPrefix))
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	if c.TokenRenewalThreshold < 0 || c.TokenRenewalThreshold >= maxTTL {
		note("token_renewal_threshold", fmt.Sprintf("is %v, it must be less than the life of a token, %v", c.TokenRenewalThreshold, maxTTL))
	}
	var retry *nebula.Error
	if errors.As(c.Retry.Validate(), &retry) {
		problems = append(problems, retry.Message)
	}
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: strings.Join(problems, "; ")}
}

// policy says how the driver is called.
func (c Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: 128, Unbounded: []string{provider.OpForeignNames}}
}

// paths are the places of a valid configuration.
func (c Config) paths() paths {
	return paths{mount: strings.TrimSuffix(c.MountPath, "/"), prefix: strings.TrimSuffix(c.PathPrefix, "/")}
}

// identity names the backend, however it was spelt.
func (c Config) identity() string {
	parts := []string{c.api().Server()}
	for _, part := range []string{c.paths().mount, c.paths().prefix} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
