package livetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// KubernetesServer is a running Kubernetes API server with RBAC. Unless it is an
// existing one, it runs no controllers: a deleted namespace stays Terminating.
type KubernetesServer struct {
	Address    string
	CAFile     string
	CA         []byte // PEM, as in CAFile
	AdminToken string
	// A certificate of the same administrator and its key, as files; empty for an
	// existing server.
	AdminCertificate, AdminKey string

	client  *http.Client
	process *process
	flags   []string
	dir     string // for a server of one test
}

// Kubernetes returns the server that all tests of the test binary share. Each test
// keeps to namespaces of its own: see Namespace. NEBULA_TEST_KUBERNETES_ADDR together
// with NEBULA_TEST_KUBERNETES_TOKEN and NEBULA_TEST_KUBERNETES_CACERT, a file, names an
// existing server instead.
func Kubernetes(t testing.TB) *KubernetesServer {
	t.Helper()
	s, err := sharedKubernetes()
	check(t, err)
	return s
}

// The variable holds the shared server for the life of the test binary, as for Vault.
var sharedKubernetes = sync.OnceValues(func() (*KubernetesServer, error) {
	if address := os.Getenv("NEBULA_TEST_KUBERNETES_ADDR"); address != "" {
		return existingKubernetes(address)
	}
	path, err := kubernetesBinary()
	if err != nil {
		return nil, err
	}
	s := &KubernetesServer{}
	return s, s.run(path)
})

// kubernetesBinary asks only once, because running go takes a moment.
var kubernetesBinary = sync.OnceValues(func() (string, error) { return binaryOf("kubernetes") })

func existingKubernetes(address string) (*KubernetesServer, error) {
	s := &KubernetesServer{
		Address:    strings.TrimRight(address, "/"),
		AdminToken: os.Getenv("NEBULA_TEST_KUBERNETES_TOKEN"),
		CAFile:     os.Getenv("NEBULA_TEST_KUBERNETES_CACERT"),
	}
	if s.AdminToken == "" || s.CAFile == "" {
		return nil, errors.New("NEBULA_TEST_KUBERNETES_ADDR is set, and NEBULA_TEST_KUBERNETES_TOKEN or NEBULA_TEST_KUBERNETES_CACERT is not")
	}
	if err := s.setClient(); err != nil {
		return nil, err
	}
	if _, err := s.call(http.MethodGet, "api/v1/namespaces/default", nil); err != nil {
		return nil, fmt.Errorf("NEBULA_TEST_KUBERNETES_ADDR: %w", err)
	}
	return s, nil
}

// NewKubernetes returns a server for this test alone, always started from the binary.
// The test can stop it and start it again. It ends with the test. The flags are
// additional ones for kube-apiserver, such as --etcd-compaction-interval=1s.
func NewKubernetes(t testing.TB, flags ...string) *KubernetesServer {
	t.Helper()
	path, err := kubernetesBinary()
	check(t, err)
	s := &KubernetesServer{flags: flags, dir: t.TempDir()}
	t.Cleanup(func() { s.Stop(t) })
	if err := s.run(path, s.arguments("127.0.0.1:0")...); err != nil {
		t.Fatal(err)
	}
	return s
}

// Stop ends the server and cuts its connections. Its address and its data remain.
func (s *KubernetesServer) Stop(t testing.TB) {
	t.Helper()
	stopOwn(t, &s.process, s.dir != "")
}

// Start starts a stopped server at the same address with the same data. Clients can
// still trust it and log in to it as before.
func (s *KubernetesServer) Start(t testing.TB) {
	t.Helper()
	checkStopped(t, s.process)
	path, err := kubernetesBinary()
	check(t, err)
	u, err := url.Parse(s.Address)
	check(t, err)
	check(t, s.run(path, s.arguments(u.Host)...))
}

func (s *KubernetesServer) arguments(listen string) []string {
	return append([]string{"-dir", filepath.Join(s.dir, "kubernetes"), "-listen", listen, "--"}, s.flags...)
}

// run starts the program and stores what it says about itself.
func (s *KubernetesServer) run(path string, args ...string) error {
	p, line, err := startProcess(exec.Command(path, args...))
	if err != nil {
		return fmt.Errorf("start Kubernetes: %w", err)
	}
	var ready struct {
		Address          string `json:"address"`
		CAFile           string `json:"ca_file"`
		AdminToken       string `json:"admin_token"`
		AdminCertificate string `json:"client_certificate_file"`
		AdminKey         string `json:"client_key_file"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return errors.Join(fmt.Errorf("what Kubernetes printed: %w", err), p.stop())
	}
	s.process, s.Address, s.CAFile, s.AdminToken = p, ready.Address, ready.CAFile, ready.AdminToken
	s.AdminCertificate, s.AdminKey = ready.AdminCertificate, ready.AdminKey
	return s.setClient()
}

func (s *KubernetesServer) setClient() error {
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", s.CAFile)
	}
	s.CA = pem
	// A connection that is kept would look like a leak to tests that look for leaks.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return nil
}
