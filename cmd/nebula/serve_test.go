//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
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

// server is a running nebula serve, in a home of its own unless another one is given.
type server struct {
	t     *testing.T
	home  string
	cmd   *exec.Cmd
	said  said
	ended chan error
	url   string // of the first place
	api   *http.Client
	token string // that may do everything
}

// said is what a process wrote to standard error.
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

// newHome returns a home with a store and a token that may do everything. It is short
// enough for sockets.
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

// nebulaAt returns a command in a home. On every system it is laid out alike.
func nebulaAt(home string, args ...string) *exec.Cmd {
	cmd := exec.Command("nebula", args...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"), "XDG_STATE_HOME=" + filepath.Join(home, ".state"),
		"XDG_RUNTIME_DIR=" + filepath.Join(home, "run"), "PATH=" + os.Getenv("PATH"), raceExit}
	return cmd
}

// serveIn starts nebula serve and waits until it serves.
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

// await waits until the process has said something, or has ended.
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

// stop asks the process to end, which must do so without a failure.
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

// trust has the requests to a name, at any port, go to the service, whose certificate
// is for its address.
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

// want is do for a status that must be.
func (s *server) want(status int, method, path, body string, headers ...string) string {
	s.t.Helper()
	got, text, err := s.do(method, path, body, headers...)
	if err != nil || got != status {
		s.t.Fatalf("%s %s: %d, not %d: %s, %v; %s", method, path, got, status, text, err, s.said.String())
	}
	return text
}

const raw = "application/octet-stream"

// Without a flag it is a socket of the user's alone, and the audit log is standard
// error.
func TestServe(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret)
	s.want(201, "PUT", "/v1/credentials/db", "CANARY-value")
	if got := s.want(200, "GET", "/v1/credentials/db", "", "Accept", raw); got != "CANARY-value" {
		t.Errorf("got %q", got)
	}
	if out, err := nebulaAt(home, "get", "db").Output(); err != nil || string(out) != "CANARY-value" {
		t.Errorf("the command gets %q, %v", out, err)
	}
	second := nebulaAt(home, "serve")
	if out, err := second.CombinedOutput(); second.ProcessState.ExitCode() != 7 || !strings.Contains(string(out), "another service listens already") {
		t.Errorf("a second one: %v, %s", err, out)
	}
	s.stop()
	if _, err := os.Lstat(filepath.Join(home, "run", "nebula", "serve.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	text := s.said.String()
	for _, want := range []string{"serving at unix:" + home + "/run/nebula/serve.sock, to processes of this user", `"method":"PUT","id":"db","outcome":"ok"`, `"token":"all"`} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %s: %s", want, text)
		}
	}
	if strings.Contains(text, "CANARY") || strings.Contains(text, secret) {
		t.Errorf("it says what it must not: %s", text)
	}
}

// Whoever has no token yet is told how to make one.
func TestServeWithoutTokens(t *testing.T) {
	home, secret := newHome(t)
	if err := os.Remove(filepath.Join(home, ".config", "nebula", "tokens")); err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, home, secret)
	s.await("make the first with: nebula serve token add NAME --allow read")
	s.stop()
}

// A request under way when the process is told to end is answered, and the process
// ends well.
func TestServeDrains(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret, "--listen", "127.0.0.1:0", "--audit", "audit.log")
	slow, half := s.slowPut("db", "value")
	s.signal(syscall.SIGTERM)
	for { // until nobody listens
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	_, _ = io.WriteString(slow, half)
	answer, err := io.ReadAll(slow)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 201 ") {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("it ended with %v: %s", err, s.said.String())
	}
	if out, err := nebulaAt(home, "get", "db").Output(); err != nil || string(out) != "value" {
		t.Errorf("stored is %q, %v", out, err)
	}
}

// slowPut sends a request but for the second half of its body.
func (s *server) slowPut(id, value string) (conn net.Conn, half string) {
	s.t.Helper()
	address := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "PUT /v1/credentials/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		id, address, s.token, raw, len(value), value[:len(value)/2])
	for { // until it is being served
		if text := s.want(200, "GET", "/metrics", ""); strings.Contains(text, "nebula_http_requests_in_flight 2") {
			return conn, value[len(value)/2:]
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A second signal ends the process at once.
func TestServeSecondSignal(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret, "--listen", "127.0.0.1:0")
	s.slowPut("db", "value")
	s.signal(syscall.SIGTERM)
	for s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-s.ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v", err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// SIGHUP opens the audit log again, after logrotate has renamed it.
func TestServeReopensItsLog(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret, "--audit", "audit.log")
	log := filepath.Join(home, "audit.log")
	s.want(201, "PUT", "/v1/credentials/before", "v")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(log); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not open it")
		}
	}
	s.want(201, "PUT", "/v1/credentials/after", "v")
	s.stop()
	old, err := os.ReadFile(log + ".1")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(old, []byte(`"before"`)) || bytes.Contains(old, []byte(`"after"`)) || !bytes.Contains(fresh, []byte(`"after"`)) {
		t.Errorf("%s, and then %s", old, fresh)
	}
}

// The metrics have an address of their own, where nothing else is, and which may be
// called by any name.
func TestServeMetrics(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret, "--metrics-listen", "127.0.0.1:0")
	s.want(201, "PUT", "/v1/credentials/db", "v")
	_, rest, _ := strings.Cut(s.said.String(), "serving metrics alone at ")
	api, apiURL := s.api, s.url
	s.url, _, _ = strings.Cut(rest, ", to ")
	s.api = &http.Client{}
	defer s.api.CloseIdleConnections()
	text := s.want(200, "GET", "/metrics", "")
	for _, want := range []string{`nebula_storage_operation_duration_seconds_count{operation="store",provider="local"} 1`, `nebula_cache_entries{store="default"} 0`, "nebula_http_requests_in_flight 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in %s", want, text)
		}
	}
	for _, path := range []string{"/v1/credentials/db", "/v1/store", "/", "/healthz"} {
		s.want(404, "GET", path, "")
	}
	s.token = "nbt_wrong"
	s.want(401, "GET", "/metrics", "")
	s.api, s.url, s.token = api, apiURL, secret
	s.want(200, "GET", "/v1/store", "")
}

// A process that is killed while it writes has lost nothing that it acknowledged, and
// the next one takes its socket.
func TestServeKilled(t *testing.T) {
	home, secret := newHome(t)
	acknowledged := map[string]int{}
	for round := range 5 {
		s := serveIn(t, home, secret, "--audit", "audit.log")
		for id, value := range acknowledged {
			var got int
			if _, err := fmt.Sscan(s.want(200, "GET", "/v1/credentials/"+id, "", "Accept", raw), &got); err != nil || got < value {
				t.Fatalf("round %d: %s is %d, and %d was acknowledged: %v", round, id, got, value, err)
			}
		}
		var mu sync.Mutex
		var writers sync.WaitGroup
		enough := make(chan struct{}, 1000)
		for w := range 4 {
			writers.Go(func() {
				for i := 1; ; i++ {
					id, value := fmt.Sprintf("w%d_%d", w, i%3), 1000*round+i
					status, _, err := s.do("PUT", "/v1/credentials/"+id, fmt.Sprint(value))
					if err != nil {
						return // it is gone
					}
					if status == 200 || status == 201 {
						mu.Lock()
						acknowledged[id] = value
						mu.Unlock()
						select {
						case enough <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		for range 20 {
			<-enough
		}
		s.signal(syscall.SIGKILL)
		<-s.ended
		writers.Wait()
	}
	for _, line := range lines(t, filepath.Join(home, "audit.log")) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the audit log has the line %q", line)
		}
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
