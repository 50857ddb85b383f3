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

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/remote"
)

// maxSecretFile is far more than any token or certificate, in bytes.
const maxSecretFile = 1 << 20

// access is how the API server is reached, and as whom.
type access struct {
	source     string // where all of it comes from, in words
	server     *url.URL
	roots      *x509.CertPool // nil: the system's
	tls        *tls.Config    // certificate of the client and name of the server; nil for neither
	proxy      *url.URL       // nil: that of the environment
	headers    http.Header    // of whom to act as
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

// credential is what a request shows of who asks, besides a certificate.
type credential interface {
	// authorization returns the value of that header, "" for none.
	authorization(ctx context.Context) (string, error)

	// replace returns another one than was refused, or errNoOther.
	replace(ctx context.Context, refused string) (string, error)
}

// errNoOther says that what was refused is all that is at hand.
var errNoOther = errors.New("there is no other token")

// access finds the cluster: kubeconfig_path, which is KUBECONFIG unless it is
// set, then the pod's service account, then ~/.kube/config. Its errors give no
// contents of files.
func (c Config) access() (*access, error) {
	if c.KubeconfigPath != "" {
		return c.fromKubeconfig(filepath.SplitList(c.KubeconfigPath))
	}
	if c.ServiceHost != "" && c.Context == "" {
		return c.fromPod()
	}
	tried := "kubeconfig_path and KUBECONFIG are not set"
	if c.ServiceHost == "" {
		tried += ", this is no pod (KUBERNETES_SERVICE_HOST is not set)"
	} else {
		tried += ", the pod's service account has no contexts"
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
		return nil, errors.New("the pod's service account: " + strconv.Quote(ca) + ": " + remote.FileProblem(err))
	}
	return &access{source: "the pod's service account", server: server, roots: roots,
		credential: tokenFile{path: filepath.Join(c.ServiceAccount, "token")}}, nil
}

// fixed is a header that stays: that of a token or a password, or none.
type fixed struct{ header string }

func (f fixed) authorization(context.Context) (string, error)   { return f.header, nil }
func (f fixed) replace(context.Context, string) (string, error) { return "", errNoOther }

func basic(user, password string) fixed {
	return fixed{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// tokenFile is a token in a file. Kubernetes writes a new one into it long
// before the old one expires, so it is read for each request: some 10 µs.
type tokenFile struct {
	path  string
	spare string // the token that is used where the file cannot be read; "" for none
}

func (f tokenFile) authorization(context.Context) (string, error) {
	token, err := readToken(f.path)
	if err != nil && f.spare != "" {
		token, err = f.spare, nil
	}
	return bearer(token), err
}

// replace is for a token that was exchanged between reading it and its use.
func (f tokenFile) replace(ctx context.Context, refused string) (string, error) {
	other, err := f.authorization(ctx)
	if err == nil && other == refused {
		err = errNoOther
	}
	return other, err
}

func bearer(token string) string { return "Bearer " + token }

func readToken(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token file " + strconv.Quote(path) + ": " + remote.FileProblem(err), Err: err}
	}
	token := strings.TrimSpace(string(data))
	if problem := wrongToken(token); problem != "" {
		return "", &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token file " + strconv.Quote(path) + " " + problem}
	}
	return token, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return httpx.ReadAll(file, maxSecretFile)
}

// wrongToken refuses what cannot stand in a header.
func wrongToken(token string) string {
	if token == "" {
		return "is empty"
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return "holds characters that no token has"
		}
	}
	return ""
}
