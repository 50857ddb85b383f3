package livetest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
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

// AWSServer is a running moto: Secrets Manager and, though no test here needs it, the
// rest of AWS. It accepts all credentials and regions.
type AWSServer struct {
	Endpoint        string
	AccessKeyID     string
	SecretAccessKey string
	process         *process
	own             bool
}

// AWS returns the server that all tests of the test binary share. Each test keeps to a
// region of its own: see Region. NEBULA_TEST_AWS_ENDPOINT names an existing server
// instead, which must accept every region, too.
func AWS(t testing.TB) *AWSServer {
	t.Helper()
	s, err := sharedAWS()
	check(t, err)
	return s
}

var sharedAWS = sync.OnceValues(func() (*AWSServer, error) {
	s := newAWSServer()
	if endpoint := os.Getenv("NEBULA_TEST_AWS_ENDPOINT"); endpoint != "" {
		s.Endpoint = strings.TrimRight(endpoint, "/")
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
		response, err := client.Get(s.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("NEBULA_TEST_AWS_ENDPOINT: %w", err)
		}
		return s, response.Body.Close()
	}
	python, err := awsBinary()
	if err != nil {
		return nil, err
	}
	return s, s.run(python)
})

// awsBinary asks only once, because running go takes a moment.
var awsBinary = sync.OnceValues(func() (string, error) { return binaryOf("aws") })

func newAWSServer() *AWSServer {
	return &AWSServer{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "moto-takes-any-secret-key"}
}

// NewAWS returns a server for this test alone. The test can stop it and start it again.
// It ends with the test.
func NewAWS(t testing.TB) *AWSServer {
	t.Helper()
	python, err := awsBinary()
	check(t, err)
	s := newAWSServer()
	s.own = true
	t.Cleanup(func() { s.Stop(t) })
	if err := s.run(python); err != nil {
		t.Fatal(err)
	}
	return s
}

// Region returns a region that no other test uses. Each region has its own secrets.
func (s *AWSServer) Region(t testing.TB) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1e12))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("us-test-%d", n)
}

// Stop ends the server and cuts its connections. Its address remains, its data do not.
func (s *AWSServer) Stop(t testing.TB) {
	t.Helper()
	stopOwn(t, &s.process, s.own)
}

// Start starts a stopped server at the same address, empty.
func (s *AWSServer) Start(t testing.TB) {
	t.Helper()
	checkStopped(t, s.process)
	python, err := awsBinary()
	check(t, err)
	u, err := url.Parse(s.Endpoint)
	check(t, err)
	check(t, s.run(python, "-listen", u.Host))
}

// run starts serve.py, two folders above the interpreter that testservers names.
func (s *AWSServer) run(python string, args ...string) error {
	script := filepath.Join(filepath.Dir(filepath.Dir(python)), "serve.py")
	p, line, err := startProcess(exec.Command(python, append([]string{"-I", script}, args...)...))
	if err != nil {
		return fmt.Errorf("start moto: %w", err)
	}
	var ready struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return errors.Join(fmt.Errorf("what moto printed: %w", err), p.stop())
	}
	s.process, s.Endpoint = p, ready.Address
	return nil
}

// Python returns an interpreter that has the package cryptography, which moto needs
// too. docs/reader.py runs with it.
func Python(t testing.TB) string {
	t.Helper()
	python, err := awsBinary()
	check(t, err)
	return python
}
