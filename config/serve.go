package config

import (
	"path/filepath"
	"strings"

	"github.com/nebula-credential/nebula/internal/endpoint"
)

// Serve are the settings of [serve], of the program that serves a store over HTTP.
type Serve struct {
	Listen        []string `toml:"listen"`         // unix:PATH, with an absolute path, or HOST:PORT
	TLSCert       string   `toml:"tls_cert"`       // path of a PEM file with the certificate and those above it; "" is none
	TLSKey        string   `toml:"tls_key"`        // path of the PEM file with its key
	Hosts         []string `toml:"host"`           // what clients call the service: NAME or NAME:PORT
	Tokens        string   `toml:"tokens"`         // path of the file of tokens; "" if the environment names no place
	Audit         string   `toml:"audit"`          // path of the audit log, or - for standard error
	AuditSync     bool     `toml:"audit_sync"`     // whether each line is on the disk before the answer
	MetricsListen string   `toml:"metrics_listen"` // where metrics alone are served; "" is nowhere

	TokensGroupRead bool // allow_group_read in [key]: files of secrets are mounted for a group
}

// standardError is the value of the audit log that is not a path.
const standardError = "-"

// Serve returns the settings of [serve].
func (c *Config) Serve() Serve {
	s := c.serve
	s.TokensGroupRead = c.stores[DefaultStore].key.AllowGroupRead
	return s
}

// defaultServe listens on a Unix socket of the user's, and writes the audit log to
// standard error.
func (e environment) defaultServe() Serve {
	s := Serve{Audit: standardError, Listen: []string{}, Hosts: []string{}}
	if dir := e.runtimeDirectory(); dir != "" {
		s.Listen = append(s.Listen, endpoint.Unix(filepath.Join(dir, "serve.sock")).String())
	}
	if dir := e.directory(); dir != "" {
		s.Tokens = filepath.Join(dir, "tokens")
	}
	return s
}

// runtimeDirectory returns the directory of sockets: below the user's runtime
// directory, else the state directory, or "" if the environment names none.
func (e environment) runtimeDirectory() string {
	if dir := e["XDG_RUNTIME_DIR"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "nebula")
	}
	return e.stateDirectory()
}

// checkServe checks where to listen. It does not check whether an address needs a
// certificate, because flags may change that: the service checks it when it
// listens.
func (l *loader) checkServe() {
	s := &l.config.serve
	for i := range s.Listen {
		l.checkListen("serve.listen", &s.Listen[i])
	}
	if s.MetricsListen != "" {
		l.checkListen("serve.metrics_listen", &s.MetricsListen)
	}
	for _, host := range s.Hosts {
		if host == "" || strings.ContainsAny(host, "/ @") {
			l.wrong("serve.host", display(host), "must be names, with a port or without: nebula.example.com or nebula.example.com:8443")
		}
	}
}

func (l *loader) checkListen(key string, text *string) {
	if path, ok := strings.CutPrefix(*text, "unix:"); ok {
		*text = "unix:" + l.config.env.expand(path)
	}
	if _, err := endpoint.Parse(*text); err != nil {
		l.wrong(key, display(*text), err.Error())
	}
}
