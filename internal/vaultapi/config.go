// Package vaultapi speaks the HTTP API of HashiCorp Vault: calls, logins, the
// life of tokens, and what refusals mean. The provider and the keys of the
// transit engine share it.
package vaultapi

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// The methods of [Auth].
const (
	MethodToken   = "token"
	MethodAppRole = "approle"
)

// Config says where a Vault is and how to reach it. Begin with
// [DefaultConfigIn].
type Config struct {
	Address   string // https, or http to this machine
	Namespace string // of Vault Enterprise; "" for none

	// CACert is a file of PEM certificates that are trusted instead of the
	// system's.
	CACert string

	Timeout   time.Duration // of a login and of a renewal; any exchange has twice that
	Auth      Auth
	Transport http.RoundTripper // nil: one with our limits

	Environment Environment

	// Section is put before the names of settings in messages.
	Section string
}

// Auth is the identity with which requests are made. It is the Auth of package
// vault, which documents the fields.
type Auth struct {
	Method       string
	TokenFile    string
	Token        nebula.Secret
	RoleID       string
	SecretIDFile string
	SecretID     nebula.Secret
	MountPath    string
}

// DefaultConfigIn returns the configuration for the server of VAULT_ADDR, with
// VAULT_TOKEN and VAULT_NAMESPACE, or for one on this machine.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{
		Address:     "http://127.0.0.1:8200",
		Namespace:   getenv("VAULT_NAMESPACE"),
		Timeout:     5 * time.Second,
		Auth:        Auth{Method: MethodToken, MountPath: "approle"},
		Environment: environmentOf(getenv),
	}
	if address := getenv("VAULT_ADDR"); address != "" {
		c.Address = address
	}
	if token := getenv("VAULT_TOKEN"); token != "" {
		c.Auth.Token = nebula.NewSecret([]byte(token))
	}
	return c
}

// Validate notes all problems, by setting. It asks no server.
func (c Config) Validate(note func(setting, reason string)) {
	if _, err := httpx.ParseAddress(c.Address); err != nil {
		note("address", err.Error())
	}
	if c.Namespace != "" {
		note("namespace", WrongPath(strings.Trim(c.Namespace, "/")))
	}
	if c.CACert != "" {
		if _, err := httpx.LoadRoots(c.CACert); err != nil {
			note("ca_cert", strconv.Quote(c.CACert)+": "+atomicfile.Reason(err))
		}
	}
	switch c.Auth.Method {
	case MethodToken:
	case MethodAppRole:
		note("auth.mount_path", WrongPath(c.Auth.MountPath))
		if c.Auth.RoleID == "" {
			note("auth.role_id", "is not set")
		}
		if c.Auth.SecretIDFile == "" && len(c.Auth.SecretID.Reveal()) == 0 {
			note("auth.secret_id_file", "is not set")
		}
	default:
		note("auth.method", strconv.Quote(c.Auth.Method)+" is not one of token, approle")
	}
}

// Server names the server and the namespace, however they were spelt.
func (c Config) Server() string {
	u, err := httpx.ParseAddress(c.Address)
	if err != nil {
		return ""
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	name := u.Scheme + "://" + host + ":" + port + u.Path
	if namespace := strings.Trim(c.Namespace, "/"); namespace != "" {
		name += "/" + namespace
	}
	return name
}

func (c Config) resolve() (address *url.URL, roots *x509.CertPool, err error) {
	if address, err = httpx.ParseAddress(c.Address); err == nil && c.CACert != "" {
		roots, err = httpx.LoadRoots(c.CACert)
	}
	if err != nil {
		return nil, nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: atomicfile.Reason(err), Err: err}
	}
	return address, roots, nil
}

// WrongPath says what is wrong with a path of several segments, or returns "".
// A slash at its end is accepted.
func WrongPath(path string) string {
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return "is not set"
	}
	if reason := invalidPath(path); reason != "" {
		return strconv.Quote(path) + " " + reason
	}
	return ""
}

func invalidPath(path string) string {
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "":
			return "has an empty segment"
		case ".", "..":
			return "has a segment . or .."
		}
		for _, r := range segment {
			if r < 0x21 || r > 0x7e || strings.ContainsRune(`?#%*+\`, r) {
				return "holds a character that is not allowed in a path: use letters, digits, - _ . and /"
			}
		}
	}
	return ""
}
