//go:build unix

package main

import (
	"bytes"
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
)

// Without a flag the service listens on a socket that only the user can open, and the
// audit log is standard error.
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
		t.Errorf("it shows a value or a token: %s", text)
	}
}

// If there are no tokens yet, the command says how to make one.
func TestServeWithoutTokens(t *testing.T) {
	home, secret := newHome(t)
	if err := os.Remove(filepath.Join(home, ".config", "nebula", "tokens")); err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, home, secret)
	s.await("make the first with: nebula serve token add NAME --allow read")
	s.stop()
}

// When the process is told to end, it answers the request under way, and ends without a
// failure.
func TestServeDrains(t *testing.T) {
	home, secret := newHome(t)
	s := serveIn(t, home, secret, "--listen", "127.0.0.1:0", "--audit", "audit.log")
	slow, half := s.slowPut("db", "value")
	s.signal(syscall.SIGTERM)
	for { // until the listener is closed
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
		t.Errorf("the stored value is %q, %v", out, err)
	}
}

// slowPut sends a request without the second half of its body.
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
	for { // until the service has begun to serve it
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

// At SIGHUP the service opens its audit log again, after logrotate has renamed it.
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
			t.Fatal("it does not open the log again")
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

// The metrics have an address of their own. Nothing else is there, and any host name is
// accepted.
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

// If the process is killed while it writes, no acknowledged write is lost, and the next
// process takes over its socket.
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
						return // the process has ended
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
