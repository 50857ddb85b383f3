package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// The methods of [Auth].
const (
	methodToken   = "token"
	methodAppRole = "approle"
)

// Config says where the records are and how to get at them. Begin with
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

	// CACert is a file of PEM certificates that are trusted in the place of the
	// system's.
	CACert string `toml:"ca_cert"`

	// TokenRenewalThreshold: a token is renewed when less of its life is left,
	// or a third of it.
	TokenRenewalThreshold time.Duration `toml:"token_renewal_threshold"`

	Auth  Auth                 `toml:"auth"`
	Retry provider.RetryPolicy `toml:"retry"`

	Transport http.RoundTripper // nil: one with our limits

	environment environment // see DefaultConfigIn
}

// Auth is the identity that requests are made with.
type Auth struct {
	Method string `toml:"method"` // "token" or "approle"

	// TokenFile holds the token. If it is "", Token is used, then the file
	// ~/.vault-token.
	TokenFile string `toml:"token_file"`
	Token     nebula.Secret

	RoleID string `toml:"role_id"`
	// SecretIDFile holds the secret id and is read at each login. If it is "",
	// SecretID is used.
	SecretIDFile string `toml:"secret_id_file"`
	SecretID     nebula.Secret
	MountPath    string `toml:"mount_path"` // of the AppRole engine
}

// DefaultConfig returns the configuration for the server of VAULT_ADDR, with
// VAULT_TOKEN and VAULT_NAMESPACE, or for one on this machine.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
// The configuration remembers which other variables of Vault's tools are set
// there: they are not read, and a check warns of them.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{
		Address:               "http://127.0.0.1:8200",
		MountPath:             "secret",
		PathPrefix:            "nebula/credentials",
		Namespace:             getenv("VAULT_NAMESPACE"),
		Timeout:               5 * time.Second,
		TLSVerify:             true,
		TokenRenewalThreshold: time.Hour,
		Auth:                  Auth{Method: methodToken, MountPath: "approle"},
		Retry:                 provider.DefaultRetryPolicy(),
		environment:           environmentOf(getenv),
	}
	if address := getenv("VAULT_ADDR"); address != "" {
		c.Address = address
	}
	if token := getenv("VAULT_TOKEN"); token != "" {
		c.Auth.Token = nebula.NewSecret([]byte(token))
	}
	return c
}

// maxTTL is how long a token lives at most unless the server was set up
// otherwise. A threshold beyond it would never be met.
const maxTTL = 768 * time.Hour

// Validate reports all that is wrong, in one error of kind ErrInvalidConfig. It
// asks no server.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	u, err := httpx.ParseAddress(c.Address)
	if err != nil {
		note("address", err.Error())
	}
	if !c.TLSVerify && u != nil && u.Scheme == "https" {
		note("tls_verify", "is false, which is refused for https: name the server's authority in ca_cert")
	}
	note("mount_path", wrongPath(strings.TrimSuffix(c.MountPath, "/")))
	if c.PathPrefix != "" {
		note("path_prefix", wrongPath(strings.TrimSuffix(c.PathPrefix, "/")))
	}
	if c.Namespace != "" {
		note("namespace", wrongPath(strings.Trim(c.Namespace, "/")))
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	if c.TokenRenewalThreshold < 0 || c.TokenRenewalThreshold >= maxTTL {
		note("token_renewal_threshold", fmt.Sprintf("is %v, it must be less than the life of a token, %v", c.TokenRenewalThreshold, maxTTL))
	}
	if c.CACert != "" {
		if _, err := httpx.LoadRoots(c.CACert); err != nil {
			note("ca_cert", strconv.Quote(c.CACert)+": "+atomicfile.Reason(err))
		}
	}
	c.Auth.validate(note)
	var retry *nebula.Error
	if errors.As(c.Retry.Validate(), &retry) {
		problems = append(problems, retry.Message)
	}
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: strings.Join(problems, "; ")}
}

func (a Auth) validate(note func(setting, reason string)) {
	switch a.Method {
	case methodToken:
	case methodAppRole:
		note("auth.mount_path", wrongPath(strings.TrimSuffix(a.MountPath, "/")))
		if a.RoleID == "" {
			note("auth.role_id", "is not set")
		}
		if a.SecretIDFile == "" && len(a.SecretID.Reveal()) == 0 {
			note("auth.secret_id_file", "is not set")
		}
	default:
		note("auth.method", strconv.Quote(a.Method)+" is not one of token, approle")
	}
}

func wrongPath(path string) string {
	if path == "" {
		return "is not set"
	}
	if reason := invalidPath(path); reason != "" {
		return strconv.Quote(path) + " " + reason
	}
	return ""
}

// policy says how the driver is called.
func (c Config) policy() provider.Policy {
	return provider.Policy{Retry: c.Retry, Timeout: c.Timeout, MaxConcurrency: 128}
}

// resolved is a valid configuration, taken apart.
type resolved struct {
	address *url.URL
	roots   *x509.CertPool
	paths   paths
}

func (c Config) resolve() (resolved, error) {
	if err := c.Validate(); err != nil {
		return resolved{}, err
	}
	r := resolved{paths: paths{mount: strings.TrimSuffix(c.MountPath, "/"), prefix: strings.TrimSuffix(c.PathPrefix, "/")}}
	var err error
	if r.address, err = httpx.ParseAddress(c.Address); err == nil && c.CACert != "" {
		r.roots, err = httpx.LoadRoots(c.CACert)
	}
	if err != nil { // it changed since it was examined
		return resolved{}, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: atomicfile.Reason(err), Err: err}
	}
	return r, nil
}

// identity names the backend, however it was spelt.
func (c Config) identity(r resolved) string {
	host, port := strings.ToLower(r.address.Hostname()), r.address.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[r.address.Scheme]
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	parts := []string{r.address.Scheme + "://" + host + ":" + port + r.address.Path}
	for _, part := range []string{strings.Trim(c.Namespace, "/"), r.paths.mount, r.paths.prefix} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
