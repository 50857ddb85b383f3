package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// keyPair makes a certificate that is its own authority, and its key, both in PEM.
func keyPair(t testing.TB) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}

// write writes files and returns their directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// minimal is a kubeconfig of one cluster and one user, in YAML.
func minimal(cluster, user string) string {
	indent := func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }
	if user == "" {
		user = "{}"
	}
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\n" +
		"contexts:\n- name: c\n  context: {cluster: k, user: u, namespace: elsewhere}\n- name: nobody\n  context: {cluster: k}\n" +
		"clusters:\n- name: k\n  cluster:\n" + indent(cluster) + "\nusers:\n- name: u\n  user:\n" + indent(user) + "\n"
}

// The provider uses what a context says. The module bench compares that with
// client-go.
func TestKubeconfigRead(t *testing.T) {
	const server = "server: https://k.example.com:6443\n"
	certificate, key := keyPair(t)
	files := map[string]string{"ca.pem": string(certificate), "sub/cert.pem": string(certificate), "sub/key.pem": string(key)}
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(certificate)
	acting := http.Header{"Impersonate-User": {"bob"}, "Impersonate-Uid": {"7"}, "Impersonate-Group": {"a", "b"}, "Impersonate-Extra-Example.com%2FReason": {"one", "two"}}
	for what, test := range map[string]struct {
		config, more  string // of the files in KUBECONFIG
		authorization string
		headers       http.Header
		proxy         string
		roots         *x509.CertPool
		shows         bool // shows a certificate
	}{
		"token":       {config: minimal(server, "token: abc"), authorization: "Bearer abc"},
		"password":    {config: minimal(server, "username: alice\npassword: \"a:b\""), authorization: "Basic YWxpY2U6YTpi"},
		"digits":      {config: minimal(server, "token: \"0123\""), authorization: "Bearer 0123"},
		"certificate": {config: minimal(server+"certificate-authority: ca.pem", "client-certificate: sub/cert.pem\nclient-key: sub/key.pem"), roots: authority, shows: true},
		"proxy":       {config: minimal(server+"proxy-url: http://proxy.example.com:3128", "token: x"), authorization: "Bearer x", proxy: "http://proxy.example.com:3128"},
		"acting as": {config: minimal(server, "token: x\nas: bob\nas-uid: \"7\"\nas-groups: [a, b]\nas-user-extra: {Example.com/Reason: [one, two]}"),
			authorization: "Bearer x", headers: acting},
		"merged": {config: minimal(server, "token: first"), more: minimal("server: https://second.example.com", "token: second"), authorization: "Bearer first"},
	} {
		t.Run(what, func(t *testing.T) {
			files := maps.Clone(files)
			files["config"], files["more"] = test.config, test.more
			dir := write(t, files)
			c := DefaultConfigIn(func(string) string { return "" })
			c.KubeconfigPath = filepath.Join(dir, "config") + string(filepath.ListSeparator) + filepath.Join(dir, "more")
			a, err := c.access()
			if err != nil {
				t.Fatal(err)
			}
			shown, err := a.credential.authorization(t.Context())
			if err != nil || shown.header != test.authorization || !reflect.DeepEqual(a.headers, test.headers) {
				t.Errorf("it sends %q and %v, %v", shown.header, a.headers, err)
			}
			proxy := ""
			if a.proxy != nil {
				proxy = a.proxy.String()
			}
			shows := a.tls != nil && clientPair(t, a.tls) != nil
			if a.server.Host != "k.example.com:6443" || proxy != test.proxy || !a.roots.Equal(test.roots) || shows != test.shows {
				t.Errorf("it reaches the server as %+v", a)
			}
		})
	}
}

// clientPair returns the certificate that the client sends to a server, or nil.
func clientPair(t *testing.T, c *tls.Config) []byte {
	t.Helper()
	pair := new(tls.Certificate)
	if len(c.Certificates) > 0 {
		pair = &c.Certificates[0]
	} else if c.GetClientCertificate != nil {
		var err error
		if pair, err = c.GetClientCertificate(&tls.CertificateRequestInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(pair.Certificate) == 0 {
		return nil
	}
	return pair.Certificate[0]
}

// A refusal names the place, and shows no secret.
func TestKubeconfigRefused(t *testing.T) {
	certificate, key := keyPair(t)
	_, otherKey := keyPair(t)
	const server = "server: https://k.example.com:6443\n"
	files := map[string]string{"cert.pem": string(certificate), "key.pem": string(key), "other.pem": string(otherKey), "text": "canary"}
	exec := func(fields string) string { return "exec: {" + fields + "}" }
	for what, test := range map[string]struct{ config, context, want string }{
		"not YAML":         {config: "\t: canary", want: "is no kubeconfig"},
		"other YAML":       {config: "[canary]", want: "is no kubeconfig"},
		"a wrong type":     {config: "clusters: canary", want: "clusters is not what it is"},
		"no base64":        {config: minimal(server+"certificate-authority-data: \"canary%\"", ""), want: "is not base64"},
		"a wrong field":    {config: minimal(server, "token: [canary]"), want: "users.user.token is not"},
		"a number":         {config: minimal(server, "token: 0123"), want: "users.user.token is a number for YAML: put it in quotes"},
		"a yes":            {config: minimal(server, "username: yes"), want: "users.user.username is a bool for YAML: put it in quotes"},
		"acting as nobody": {config: minimal(server, "token: canary\nas-groups: [canary]"), want: "as-groups or as-user-extra without as"},
		"empty":            {config: "", want: "no current context"},
		"no context":       {config: minimal(server, ""), context: "other", want: `no context "other"`},
		"no cluster":       {config: strings.Replace(minimal(server, ""), "name: k", "name: x", 1), want: `no cluster "k"`},
		"no user":          {config: strings.Replace(minimal(server, ""), "name: u", "name: x", 1), want: `no user "u"`},
		"skipping":         {config: minimal(server+"insecure-skip-tls-verify: true", "token: canary"), want: "insecure-skip-tls-verify, which is refused"},
		"plain http":       {config: minimal("server: http://k.example.com", "token: canary"), want: "must begin with https://"},
		"no server":        {config: minimal("{}", ""), want: "server that is not set"},
		"a user in it":     {config: minimal("server: https://u:canary@k.example.com", ""), want: "holds a user"},
		"no authority":     {config: minimal(server+"certificate-authority: missing.pem", ""), want: "missing.pem"},
		"two authorities":  {config: minimal(server+"certificate-authority: cert.pem\ncertificate-authority-data: "+base64.StdEncoding.EncodeToString(certificate), ""), want: "given twice"},
		"empty authority":  {config: minimal(server+"certificate-authority: text", ""), want: "without a PEM certificate"},
		"a proxy":          {config: minimal(server+"proxy-url: ftp://canary", ""), want: "proxy-url"},
		"a pair":           {config: minimal(server, "client-certificate: cert.pem\nclient-key: other.pem"), want: "do not make a pair"},
		"half a pair":      {config: minimal(server, "client-certificate: cert.pem"), want: "do not make a pair"},
		"no key":           {config: minimal(server, "client-certificate: cert.pem\nclient-key: missing.pem"), want: "missing.pem"},
		"a token":          {config: minimal(server, "token: \"canary canary\""), want: "characters that no token has"},
		"an auth provider": {config: minimal(server, "auth-provider: {name: gcp}"), want: "auth-provider"},
		"exec version":     {config: minimal(server, exec("apiVersion: client.authentication.k8s.io/v1alpha1, command: x")), want: "apiVersion"},
		"exec command":     {config: minimal(server, exec("apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never")), want: "without a command"},
		"exec mode":        {config: minimal(server, exec("apiVersion: client.authentication.k8s.io/v1, command: x")), want: "interactiveMode"},
		"exec input":       {config: minimal(server, exec("apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always")), want: "standard input"},
	} {
		t.Run(what, func(t *testing.T) {
			files := maps.Clone(files)
			files["config"] = test.config
			c := DefaultConfigIn(func(string) string { return "" })
			c.KubeconfigPath, c.Context = filepath.Join(write(t, files), "config"), test.context
			p, err := New(c)
			if p != nil || nebula.KindOf(err) != nebula.ErrInvalidConfig || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if strings.Contains(fmt.Sprint(err), "canary") {
				t.Errorf("the error shows the content of the file: %v", err)
			}
		})
	}
}
