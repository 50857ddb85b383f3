package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// FuzzKubeconfig: a kubeconfig leads to a server, or is refused. The error shows none
// of its text that is not a setting: it may be a token.
func FuzzKubeconfig(f *testing.F) {
	const whole = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}]
clusters: [{name: k, cluster: {server: "https://h:6443"}}]
users: [{name: u, user: {token: secret}}]
`
	for _, s := range []string{whole, "", "{}", "a: &a [*a]", "[", "\x00", strings.Replace(whole, "token: secret", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1}", 1),
		strings.Replace(whole, "https://", "http://", 1), strings.Replace(whole, "token: secret", "client-certificate-data: AAAA", 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Config{}.fromKubeconfig([]string{path})
		if err == nil && (a.server == nil || a.server.Scheme != "https" && a.server.Scheme != "http" || a.server.Host == "") {
			t.Fatalf("%q leads to %v", text, a.server)
		}
		if err != nil && !strings.Contains(err.Error(), "kubeconfig") {
			t.Fatalf("%q: %v does not say where", text, err)
		}
	})
}

// FuzzPlugin: either the output of a credential plugin is something to log in with,
// or it is refused and not shown.
func FuzzPlugin(f *testing.F) {
	const version = "client.authentication.k8s.io/v1"
	for _, s := range []string{"", "{}", "null", `{"kind":"ExecCredential","apiVersion":"` + version + `","status":{"token":"x"}}`,
		`{"kind":"ExecCredential","apiVersion":"` + version + `","status":{"token":"x\ny","expirationTimestamp":"9999-12-31T23:59:59Z"}}`,
		`{"kind":"ExecCredential","apiVersion":"` + version + `","status":{"clientCertificateData":"x","clientKeyData":"y"}}`} {
		f.Add([]byte(s))
	}
	p := &plugin{config: &execConfig{APIVersion: version}}
	f.Fuzz(func(t *testing.T, output []byte) {
		i, problem := p.parse(output)
		switch {
		case problem != "" && (i != nil || !strings.HasPrefix(problem, "printed ")):
			t.Fatalf("%q: %q", output, problem)
		case problem == "" && i.header == "" && i.certificate == nil:
			t.Fatalf("%q cannot log in", output)
		case problem == "" && strings.ContainsAny(i.header, "\r\n\x00"):
			t.Fatalf("%q is sent as %q", output, i.header)
		}
	})
}

// FuzzSecret: either an answer is the requested object, or the server is not
// Kubernetes.
func FuzzSecret(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"kind":"Secret","metadata":{"name":"n","resourceVersion":"1"},"data":{"record":"AAAA"}}`,
		`{"kind":"Secret","metadata":{"name":"n","resourceVersion":"01"}}`, `{"kind":"SecretList","items":[null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := decodeSecret(&httpx.Answer{Status: 200, Body: body}, "Secret", "n")
		if err == nil && (s.Kind != "Secret" || s.Metadata.Name != "n" || strings.Trim(s.Metadata.ResourceVersion, "0123456789") != "") {
			t.Fatalf("%q is taken for %+v", body, s.Metadata)
		}
	})
}
