//go:build linux || darwin

package service

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/unixsocket"
)

// place returns a path for a socket that is short enough on every system.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "serve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "nebula", "serve.sock")
}

func onUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

func TestUnixSocket(t *testing.T) {
	path := place(t)
	l, stop := serving(t, "unix:"+path, nil, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onSocket(r) {
			w.WriteHeader(http.StatusTeapot)
		}
	})})
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if got, err := get(onUnix(path), "http://localhost/"); got != "200 OK " {
		t.Errorf("%q, %v", got, err)
	}
	if l.URL() != "unix:"+path || l.Reach() != "processes of this user" {
		t.Errorf("%s, %s", l.URL(), l.Reach())
	}
	if hosts, err := l.Hosts(nil); err != nil || hosts != nil {
		t.Errorf("its names are %v, %v", hosts, err)
	}
	_, err := Listen(t.Context(), "unix:"+path, nil)
	if nebula.KindOf(err) != nebula.ErrAlreadyExists || !strings.Contains(err.Error(), "another service listens already") {
		t.Errorf("a second listener at the socket: %v", err)
	}
	stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// If a killed process left its socket, the next one takes it over.
func TestDeadSocket(t *testing.T) {
	path := place(t)
	dead, err := Listen(t.Context(), "unix:"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Listener.(*unixsocket.Listener).UnixListener.Close()
	serving(t, "unix:"+path, nil, &Server{Handler: ok()})
	if got, err := get(onUnix(path), "http://localhost/"); got != "200 OK ok" {
		t.Errorf("%q, %v", got, err)
	}
}

// A process of another user gets no byte.
func TestAnotherUser(t *testing.T) {
	path := place(t)
	l, err := Listen(t.Context(), "unix:"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid() + 1
	l.Listener.(*unixsocket.Listener).Peer = func(*net.UnixConn) (int, error) { return uid, nil }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Handler: ok()}).Serve(ctx, Site{Listener: l}) }()
	if got, err := get(onUnix(path), "http://localhost/"); err == nil {
		t.Errorf("another user gets %q", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOpenDirectory(t *testing.T) {
	path := place(t)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "unix:"+path, nil); nebula.KindOf(err) != nebula.ErrInvalidConfig {
		t.Errorf("got %v", err)
	}
}
