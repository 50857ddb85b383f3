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

// VaultServer is a running Vault. It has KV version 2 at secret/, version 1 at
// kv1/ and transit at transit/, unless it is an existing one.
type VaultServer struct {
	Address   string
	RootToken string
	UnsealKey string // empty for an existing server
	CAFile    string // with TLS
	client    *http.Client
	process   *process
	options   VaultOptions
	dir       string // for a server of one test
}

// VaultOptions are the options for a server of one test.
type VaultOptions struct {
	TLS bool // serve HTTPS; clients must trust CAFile
}

// Vault returns the server that all tests of the test binary share. Each test keeps to
// a mount of its own: see Mount. NEBULA_TEST_VAULT_ADDR together with
// NEBULA_TEST_VAULT_TOKEN names an existing server instead.
func Vault(t testing.TB) *VaultServer {
	t.Helper()
	s, err := sharedVault()
	check(t, err)
	return s
}

// The variable holds the shared server for the life of the test binary: the pipe that
// keeps it alive closes when the binary ends.
var sharedVault = sync.OnceValues(func() (*VaultServer, error) {
	if address := os.Getenv("NEBULA_TEST_VAULT_ADDR"); address != "" {
		return existingVault(address, os.Getenv("NEBULA_TEST_VAULT_TOKEN"))
	}
	path, err := vaultBinary()
	if err != nil {
		return nil, err
	}
	s := &VaultServer{}
	return s, s.run(path)
})

// vaultBinary asks only once, because running go takes a moment.
var vaultBinary = sync.OnceValues(func() (string, error) { return binaryOf("vault") })

func existingVault(address, token string) (*VaultServer, error) {
	if token == "" {
		return nil, errors.New("NEBULA_TEST_VAULT_ADDR is set and NEBULA_TEST_VAULT_TOKEN is not")
	}
	s := &VaultServer{Address: strings.TrimRight(address, "/"), RootToken: token, CAFile: os.Getenv("NEBULA_TEST_VAULT_CACERT")}
	if err := s.setClient(); err != nil {
		return nil, err
	}
	if _, err := s.call(http.MethodGet, "auth/token/lookup-self", nil); err != nil {
		return nil, fmt.Errorf("NEBULA_TEST_VAULT_ADDR: %w", err)
	}
	return s, nil
}

// NewVault returns a server for this test alone, always started from the binary. The
// test can stop it and start it again. It ends with the test.
func NewVault(t testing.TB, o VaultOptions) *VaultServer {
	t.Helper()
	path, err := vaultBinary()
	check(t, err)
	s := &VaultServer{options: o, dir: t.TempDir()}
	t.Cleanup(func() { s.Stop(t) })
	if err := s.run(path, s.arguments()...); err != nil {
		t.Fatal(err)
	}
	return s
}

// Stop ends the server and cuts its connections. Its address and its data remain.
func (s *VaultServer) Stop(t testing.TB) {
	t.Helper()
	stopOwn(t, &s.process, s.dir != "")
}

// Start starts a stopped server at the same address with the same data, unsealed.
func (s *VaultServer) Start(t testing.TB) {
	t.Helper()
	checkStopped(t, s.process)
	path, err := vaultBinary()
	check(t, err)
	u, err := url.Parse(s.Address)
	check(t, err)
	check(t, s.run(path, append(s.arguments(), "-listen", u.Host, "-unseal", s.UnsealKey)...))
}

func (s *VaultServer) arguments() []string {
	args := []string{"-storage", "file:" + filepath.Join(s.dir, "data")}
	if s.options.TLS {
		args = append(args, "-tls", s.dir)
	}
	return args
}

// run starts the program and stores what it says about itself.
func (s *VaultServer) run(path string, args ...string) error {
	p, line, err := startProcess(exec.Command(path, args...))
	if err != nil {
		return fmt.Errorf("start Vault: %w", err)
	}
	var ready struct {
		Address   string `json:"address"`
		RootToken string `json:"root_token"`
		UnsealKey string `json:"unseal_key"`
		CAFile    string `json:"ca_file"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return errors.Join(fmt.Errorf("what Vault printed: %w", err), p.stop())
	}
	s.process, s.Address, s.UnsealKey, s.CAFile = p, ready.Address, ready.UnsealKey, ready.CAFile
	if ready.RootToken != "" {
		s.RootToken = ready.RootToken
	}
	return s.setClient()
}

func (s *VaultServer) setClient() error {
	// A connection that is kept would look like a leak to tests that look for leaks.
	transport := &http.Transport{DisableKeepAlives: true}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate", s.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return nil
}
