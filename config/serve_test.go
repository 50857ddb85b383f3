package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestServe(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	file := "[serve]\nlisten = ['127.0.0.1:8200', '[::]:8443']\nhost = ['a.example.com', 'b:8443']\naudit_sync = true\nmetrics_listen = '127.0.0.1:9200'\n" +
		"tls_cert = '" + path("c") + "'\ntls_key = '" + path("k") + "'\ntokens = '" + path("t") + "'\naudit = '" + path("a") + "'\n"
	want := Serve{Listen: []string{"127.0.0.1:8200", "[::]:8443"}, Hosts: []string{"a.example.com", "b:8443"}, AuditSync: true, MetricsListen: "127.0.0.1:9200",
		TLSCert: path("c"), TLSKey: path("k"), Tokens: path("t"), Audit: path("a")}
	other := want
	other.Listen, other.Audit = []string{"127.0.0.1:1", "127.0.0.1:2"}, "-"
	for name, test := range map[string]struct {
		file    string
		environ []string
		want    Serve
	}{
		"file":     {file: file, want: want},
		"variable": {file: file, environ: []string{"NEBULA_SERVE_LISTEN=127.0.0.1:1, 127.0.0.1:2", "NEBULA_SERVE_AUDIT=-"}, want: other},
	} {
		c, err := load(t, test.file, test.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Serve(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Without settings the service listens on a socket that only the user can open.
func TestServeDefaults(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("no paths of Unix here")
	}
	for name, test := range map[string]struct {
		environ []string
		listen  string
		tokens  string
	}{
		"runtime":  {environ: []string{"XDG_RUNTIME_DIR=/run/user/1"}, listen: "unix:/run/user/1/nebula/serve.sock", tokens: "/c/nebula/tokens"},
		"state":    {environ: []string{"XDG_STATE_HOME=/s"}, listen: "unix:/s/nebula/serve.sock", tokens: "/c/nebula/tokens"},
		"relative": {environ: []string{"XDG_RUNTIME_DIR=run", "XDG_STATE_HOME=/s"}, listen: "unix:/s/nebula/serve.sock", tokens: "/c/nebula/tokens"},
	} {
		c, err := Load(Source{Environ: append(test.environ, "HOME=/h", "XDG_CONFIG_HOME=/c")})
		if err != nil {
			t.Fatal(err)
		}
		want := Serve{Listen: []string{test.listen}, Hosts: []string{}, Tokens: test.tokens, Audit: "-"}
		if got := c.Serve(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestServeProblems(t *testing.T) {
	for variable, want := range map[string]string{
		"NEBULA_SERVE_LISTEN=8200":               "must be unix:PATH or HOST:PORT",
		"NEBULA_SERVE_LISTEN=unix:serve.sock":    "must be unix: and an absolute path",
		"NEBULA_SERVE_METRICS_LISTEN=localhost":  "must be unix:PATH or HOST:PORT",
		"NEBULA_SERVE_HOST=https://example.com/": "must be names",
		"NEBULA_SERVE_TOKENS=tokens":             "must be an absolute path",
		"NEBULA_SERVE_TLS_KEY=-----BEGIN CANARY": "must be a path, and looks like a key",
		"NEBULA_SERVE_AUDIT_SYNC=often":          "must be true or false",
		"NEBULA_SERVE_AUDITT=-":                  "did you mean NEBULA_SERVE_AUDIT?",
	} {
		_, err := load(t, "", variable)
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
