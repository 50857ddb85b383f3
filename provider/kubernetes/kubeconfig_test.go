package kubernetes

import (
	"bytes"
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
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nebula-credential/nebula"
)

// keyPair makes a certificate, its own authority, and its key, both PEM.
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

// Each kubeconfig means here what it means to client-go.
func TestKubeconfigAsClientGo(t *testing.T) {
	certificate, key := keyPair(t)
	b64 := base64.StdEncoding.EncodeToString
	const server = "server: https://k.example.com:6443\n"
	extra := map[string]string{"ca.pem": string(certificate), "sub/cert.pem": string(certificate), "sub/key.pem": string(key),
		"sub/token": " from-the-file\n", "bin/plugin": "#!/bin/sh\n"}
	for what, test := range map[string]struct {
		files   map[string]string // config, and more in KUBECONFIG
		order   string
		context string
	}{
		"token":          {files: map[string]string{"config": minimal(server+"certificate-authority: ca.pem", "token: abc")}},
		"inline":         {files: map[string]string{"config": minimal(server+"certificate-authority-data: "+b64(certificate), "client-certificate-data: "+b64(certificate)+"\nclient-key-data: "+b64(key))}},
		"files":          {files: map[string]string{"config": minimal(server+"certificate-authority: ca.pem", "client-certificate: sub/cert.pem\nclient-key: sub/key.pem")}},
		"token file":     {files: map[string]string{"config": minimal(server, "tokenFile: sub/token")}},
		"file and token": {files: map[string]string{"config": minimal(server, "tokenFile: sub/token\ntoken: spare")}},
		"no file, token": {files: map[string]string{"config": minimal(server, "tokenFile: sub/nothing\ntoken: spare")}},
		"password":       {files: map[string]string{"config": minimal(server, "username: alice\npassword: \"a:b\"")}},
		"acting as": {files: map[string]string{"config": minimal(server+"tls-server-name: other.example.com\nproxy-url: http://proxy.example.com:3128",
			"token: x\nas: bob\nas-uid: \"7\"\nas-groups: [a, b]\nas-user-extra: {Example.com/Reason: [one, two]}")}},
		"nobody":                  {files: map[string]string{"config": minimal(server, "token: x")}, context: "nobody"},
		"plugin":                  {files: map[string]string{"config": minimal(server, "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/plugin, interactiveMode: Never}")}},
		"plugin in PATH":          {files: map[string]string{"config": minimal(server, "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: plugin}")}},
		"certificate over plugin": {files: map[string]string{"config": minimal(server, "client-certificate: sub/cert.pem\nclient-key: sub/key.pem\nexec: {apiVersion: client.authentication.k8s.io/v1, command: bin/plugin, interactiveMode: Never}")}},
		"merged": {order: "missing:config:more", files: map[string]string{
			"config": minimal(server, "token: first"),
			"more":   strings.ReplaceAll(minimal("server: https://second.example.com", "token: second"), "current-context: c", "current-context: nobody")}},
		"merged, other dir": {order: "empty:sub/config", files: map[string]string{
			"empty": "", "sub/config": minimal(server+"certificate-authority: ../ca.pem", "client-certificate: cert.pem\nclient-key: key.pem")}},
		"JSON": {files: map[string]string{"config": `{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],` +
			`"clusters":[{"name":"k","cluster":{"server":"https://k.example.com"}}],"users":[{"name":"u","user":{"token":"x"}}]}`}},
	} {
		t.Run(what, func(t *testing.T) {
			files := maps.Clone(extra)
			maps.Copy(files, test.files)
			dir := write(t, files)
			if test.order == "" {
				test.order = "config"
			}
			var paths []string
			for name := range strings.SplitSeq(test.order, ":") {
				paths = append(paths, filepath.Join(dir, name))
			}
			rules := &clientcmd.ClientConfigLoadingRules{Precedence: paths}
			want, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: test.context}).ClientConfig()
			if err != nil {
				t.Fatal(err)
			}
			c := DefaultConfigIn(func(string) string { return "" })
			c.KubeconfigPath, c.Context = strings.Join(paths, string(filepath.ListSeparator)), test.context
			got, err := c.access()
			if err != nil {
				t.Fatal(err)
			}
			sameAccess(t, got, want)
		})
	}
}

func sameAccess(t *testing.T, got *access, want *rest.Config) {
	t.Helper()
	if got.server.String() != want.Host {
		t.Errorf("the server is %s, want %s", got.server, want.Host)
	}
	wantTLS, err := rest.TLSConfigFor(want)
	if err != nil {
		t.Fatal(err)
	}
	if wantTLS == nil {
		wantTLS = &tls.Config{}
	}
	gotTLS := got.tls
	if gotTLS == nil {
		gotTLS = &tls.Config{}
	}
	if gotTLS.ServerName != wantTLS.ServerName || (got.roots == nil) != (wantTLS.RootCAs == nil) || got.roots != nil && !got.roots.Equal(wantTLS.RootCAs) {
		t.Errorf("another server is trusted: %+v", got)
	}
	if want.Proxy != nil {
		request, _ := http.NewRequest(http.MethodGet, want.Host, nil)
		if proxy, err := want.Proxy(request); err != nil || got.proxy == nil || proxy.String() != got.proxy.String() {
			t.Errorf("the proxy is %v, want %v", got.proxy, proxy)
		}
	}
	if plugin, ok := got.credential.(*plugin); ok {
		// To compare what it gives it would have to run.
		if want.ExecProvider == nil || plugin.command != want.ExecProvider.Command {
			t.Errorf("the plugin is %q, want %v", plugin.command, want.ExecProvider)
		}
		return
	}
	if gotPair, wantPair := clientPair(t, gotTLS), clientPair(t, wantTLS); !bytes.Equal(gotPair, wantPair) {
		t.Error("another certificate is shown")
	}
	want.ExecProvider = nil // where there is a certificate, it is not asked
	// What a request shows, as client-go's own round trippers set it.
	shown := make(http.Header)
	wrapped, err := rest.HTTPWrappersForConfig(want, roundTripper(func(r *http.Request) (*http.Response, error) {
		shown = r.Header
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest(http.MethodGet, want.Host, nil)
	if _, err := wrapped.RoundTrip(request); err != nil {
		t.Fatal(err)
	}
	shown.Del("User-Agent")
	authorization, err := got.credential.authorization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours := make(http.Header)
	if authorization.header != "" {
		ours.Set("Authorization", authorization.header)
	}
	maps.Copy(ours, got.headers)
	if !maps.EqualFunc(canonical(ours), canonical(shown), slices.Equal) {
		t.Errorf("a request shows %v, want %v", ours, shown)
	}
}

// canonical is what a header is on the wire, whose names have no case.
func canonical(h http.Header) map[string][]string {
	c := make(map[string][]string)
	for key, values := range h {
		c[strings.ToLower(key)] = values
	}
	return c
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientPair returns the certificate that a server is shown, nil for none.
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

// What is refused says so, with the place, and tells nothing secret.
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
				t.Errorf("the error tells what stands in the file: %v", err)
			}
		})
	}
}
