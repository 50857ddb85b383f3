package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// maxFile is far more than any kubeconfig or certificate, in bytes.
const maxFile = 1 << 20

// access says how to reach the API server, and with which identity.
type access struct {
	source     string // of all of it, in words
	server     *url.URL
	roots      *x509.CertPool // nil: the system's
	tls        *tls.Config    // certificate of the client and name of the server; nil for neither
	proxy      *url.URL       // nil: that of the environment
	headers    http.Header    // of the user to impersonate
	credential credential
}

// identity names the server, however it was spelt.
func (a *access) identity() string {
	host, port := strings.ToLower(a.server.Hostname()), a.server.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[a.server.Scheme]
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return a.server.Scheme + "://" + host + ":" + port + a.server.Path
}

// explain explains a failure without an answer of the server.
func (a *access) explain(err error) *nebula.Error {
	s := httpx.Server{Host: a.server.Host, Address: a.source, Authorities: "certificate-authority of " + a.source}
	if a.proxy != nil {
		s.Proxy, s.ProxySetting = a.proxy.Host, "proxy-url in "+a.source
	}
	return s.Explain(err)
}

// credential is the identity of the client.
type credential interface {
	// authorization returns what a request shows.
	authorization(ctx context.Context) (shown, error)

	// replace returns another token or certificate than the refused one, or
	// errNoOther.
	replace(ctx context.Context, refused shown) (shown, error)
}

// shown is what a request presents of the client's identity.
type shown struct {
	header      string           // Authorization; "" for none
	certificate *tls.Certificate // of new connections; nil for none
}

// errNoOther says that nothing else is at hand.
var errNoOther = errors.New("there is no other token or certificate")

// access finds the cluster: kubeconfig_path, or else KUBECONFIG, then the pod's
// service account, if one is mounted, then ~/.kube/config. Its errors show no
// contents of files.
func (c Config) access() (*access, error) {
	if c.KubeconfigPath != "" {
		return c.fromKubeconfig(filepath.SplitList(c.KubeconfigPath))
	}
	tried := "kubeconfig_path and KUBECONFIG are not set"
	token := filepath.Join(c.ServiceAccount, "token")
	switch _, err := os.Stat(token); {
	case c.ServiceHost == "":
		tried += ", this is no pod (KUBERNETES_SERVICE_HOST is not set)"
	case c.Context != "":
		tried += ", the pod's service account has no contexts"
	case errors.Is(err, os.ErrNotExist): // automountServiceAccountToken: false
		tried += ", the pod has no service account (there is no " + token + ")"
	default:
		return c.fromPod()
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, errors.New("no cluster is known: " + tried + ", and there is no home directory")
	}
	path := filepath.Join(home, ".kube", "config")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("no cluster is known: " + tried + ", and there is no " + path)
	}
	return c.fromKubeconfig([]string{path})
}

// fromPod uses what Kubernetes puts into every pod.
func (c Config) fromPod() (*access, error) {
	server, err := httpx.ParseAddress("https://" + c.ServiceHost)
	if err != nil {
		return nil, fmt.Errorf("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT: the address %w", err)
	}
	ca := filepath.Join(c.ServiceAccount, "ca.crt")
	roots, err := httpx.LoadRoots(ca)
	if err != nil {
		return nil, errors.New("the pod's service account: " + strconv.Quote(ca) + ": " + atomicfile.Reason(err))
	}
	return &access{source: "the pod's service account", server: server, roots: roots,
		credential: tokenFile{path: filepath.Join(c.ServiceAccount, "token")}}, nil
}

// fixed is a header that does not change: that of a token or a password, or
// none.
type fixed struct{ header string }

func (f fixed) authorization(context.Context) (shown, error)  { return shown{header: f.header}, nil }
func (f fixed) replace(context.Context, shown) (shown, error) { return shown{}, errNoOther }

func basic(user, password string) fixed {
	return fixed{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// tokenFile is a token in a file. Kubernetes writes a new one into it long
// before the old one expires, so it is read for each request: some 10 µs.
type tokenFile struct {
	path  string
	spare string // the token that is used if the file cannot be read; "" for none
}

func (f tokenFile) authorization(context.Context) (shown, error) {
	token, err := httpx.ReadSecretFile("the token file", f.path)
	if err != nil && f.spare != "" {
		token, err = f.spare, nil
	}
	return shown{header: bearer(token)}, err
}

// replace is for a token that was exchanged between the read and its use.
func (f tokenFile) replace(ctx context.Context, refused shown) (shown, error) {
	other, err := f.authorization(ctx)
	if err == nil && other.header == refused.header {
		err = errNoOther
	}
	return other, err
}

// certificateFiles are the files of a user's certificate, or the same data in
// the kubeconfig itself. Files may be exchanged before the certificate expires,
// so they are read for each connection, and when the server refuses the client.
type certificateFiles struct {
	credential // of the header
	user       user
	renewed    func() // called when there is another certificate

	mu   sync.Mutex
	pair *tls.Certificate // the last that could be read
}

func (f *certificateFiles) whenRenewed(renewed func()) { f.renewed = renewed }

func (f *certificateFiles) authorization(ctx context.Context) (shown, error) {
	s, err := f.credential.authorization(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.certificate = f.pair
	return s, err
}

func (f *certificateFiles) replace(ctx context.Context, refused shown) (shown, error) {
	s, err := f.credential.replace(ctx, refused)
	s.certificate = f.read()
	if errors.Is(err, errNoOther) && s.certificate != refused.certificate {
		s.header, err = refused.header, nil
	}
	return s, err
}

func (f *certificateFiles) handshake(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return f.read(), nil
}

// read returns the current pair, and the one before in the middle of an
// exchange.
func (f *certificateFiles) read() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	certificate, err := contents(f.user.dir, f.user.ClientCertificate, f.user.ClientCertificateData)
	if err != nil {
		return f.pair
	}
	key, err := contents(f.user.dir, f.user.ClientKey, f.user.ClientKeyData)
	if err != nil {
		return f.pair
	}
	if pair, err := tls.X509KeyPair(certificate, key); err == nil && !sameCertificate(&pair, f.pair) {
		f.pair = &pair
		f.renewed() // under the lock: callers that learn of it find new connections
	}
	return f.pair
}

func bearer(token string) string { return "Bearer " + token }

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return httpx.ReadAll(file, maxFile)
}
