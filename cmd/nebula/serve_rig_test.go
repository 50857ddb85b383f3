//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/service/token"
)

// server is a running nebula serve, in a home of its own unless the caller gives one.
type server struct {
	t     *testing.T
	home  string
	cmd   *exec.Cmd
	said  said
	ended chan error
	url   string // of its first listener
	api   *http.Client
	token string // may do everything
}

// said keeps what a process wrote to standard error.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// newHome returns a home with a store, and a token that may do everything. Its path is
// short enough for sockets.
func newHome(t *testing.T) (dir, secret string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "serve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if out, err := nebulaAt(dir, "init").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made, err := token.NewFile(filepath.Join(dir, ".config", "nebula", "tokens")).Add(t.Context(), token.Grant{Name: "all", Allow: token.Verbs()})
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(made.Reveal())
}

// nebulaAt returns a command in a home. The directories are the same on every system.
func nebulaAt(home string, args ...string) *exec.Cmd {
	cmd := exec.Command("nebula", args...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"), "XDG_STATE_HOME=" + filepath.Join(home, ".state"),
		"XDG_RUNTIME_DIR=" + filepath.Join(home, "run"), "PATH=" + os.Getenv("PATH"), raceExit}
	return cmd
}

// serveIn starts nebula serve, and waits until it is ready.
func serveIn(t *testing.T, home, secret string, args ...string) *server {
	t.Helper()
	return serveWith(t, home, secret, nil, args...)
}

// serveWith is serveIn with more variables.
func serveWith(t *testing.T, home, secret string, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, home: home, token: secret, cmd: nebulaAt(home, append([]string{"serve"}, args...)...), ended: make(chan error, 1)}
	s.cmd.Env = append(s.cmd.Env, env...)
	s.cmd.Stderr = &s.said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait(); close(s.ended) }()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-s.ended })
	s.await("nebula: serving at ")
	_, rest, _ := strings.Cut(s.said.String(), "nebula: serving at ")
	s.url, _, _ = strings.Cut(rest, ", to ")
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	if path, ok := strings.CutPrefix(s.url, "unix:"); ok {
		s.url = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	s.api = &http.Client{Transport: transport}
	t.Cleanup(s.api.CloseIdleConnections)
	return s
}

// await waits until the process has written the text, or has ended.
func (s *server) await(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.said.String(), text); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-s.ended:
			s.t.Fatalf("it ended with %v: %s", err, s.said.String())
		default:
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("it does not say %q: %s", text, s.said.String())
		}
	}
}

// stop tells the process to end. It must end without a failure.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if err := <-s.ended; err != nil {
		s.t.Errorf("it ended with %v: %s", err, s.said.String())
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do sends a request and returns the status and the body.
func (s *server) do(method, path, body string, headers ...string) (int, string, error) {
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return s.send(request)
}

func (s *server) send(request *http.Request) (int, string, error) {
	response, err := s.api.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// trust sends requests for a name, at any port, to the service. The service's
// certificate is for its address.
func (s *server) trust(ca, name string) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	s.api = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		},
	}}
	s.t.Cleanup(s.api.CloseIdleConnections)
	s.url = "https://" + name
}

// want is do, and fails unless the answer has that status.
func (s *server) want(status int, method, path, body string, headers ...string) string {
	s.t.Helper()
	got, text, err := s.do(method, path, body, headers...)
	if err != nil || got != status {
		s.t.Fatalf("%s %s: %d, not %d: %s, %v; %s", method, path, got, status, text, err, s.said.String())
	}
	return text
}

const raw = "application/octet-stream"
