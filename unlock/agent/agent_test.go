//go:build linux || darwin

package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// place returns a path for a socket that is short enough on every system.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "agent.sock")
}

// start runs an agent until the test ends or the caller calls stop.
func start(t *testing.T, path string, change func(*Agent)) (stop func()) {
	t.Helper()
	a, err := Listen(t.Context(), path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// logged is a client with a log of its warnings.
type logged struct {
	*Client
	log *bytes.Buffer
}

func client(path string) logged {
	var log bytes.Buffer
	return logged{NewClient(path, slog.New(slog.NewTextHandler(&log, nil))), &log}
}

func (l logged) warnings() int { return strings.Count(l.log.String(), "level=WARN") }

func keyOf(b byte) nebula.KeptKey {
	return nebula.KeptKey{Secret: [32]byte(bytes.Repeat([]byte{b}, 32)), Pinned: true}
}

func wantKind(t *testing.T, err error, want nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestKeepAndGet(t *testing.T) {
	path := place(t)
	start(t, path, nil)
	c := client(path)
	if _, found := c.Get(t.Context(), "local:/a"); found {
		t.Error("an empty agent has a key")
	}
	unpinned := keyOf(2)
	unpinned.Pinned = false
	c.Keep(t.Context(), "local:/b", keyOf(1))
	c.Keep(t.Context(), "local:/a", keyOf(1))
	c.Keep(t.Context(), "local:/b", unpinned)
	for address, want := range map[string]nebula.KeptKey{"local:/a": keyOf(1), "local:/b": unpinned} {
		if got, found := c.Get(t.Context(), address); !found || got != want {
			t.Errorf("%s: got another key, or none", address)
		}
	}
	entries, err := c.List(t.Context())
	if err != nil || len(entries) != 2 || entries[0].Address != "local:/a" || entries[0].Left > time.Hour || entries[0].Left < 30*time.Minute || !entries[0].Pinned || entries[1].Pinned {
		t.Errorf("the list is %+v, %v", entries, err)
	}
	if entries[0].KeyID == entries[1].KeyID || len(entries[0].KeyID) != 32 {
		t.Errorf("the ids are %s and %s", entries[0].KeyID, entries[1].KeyID)
	}
	if n, err := c.Lock(t.Context()); n != 2 || err != nil {
		t.Errorf("forgot %d keys, %v", n, err)
	}
	if _, found := c.Get(t.Context(), "local:/a"); found {
		t.Error("a locked agent has a key")
	}
	if c.warnings() > 0 {
		t.Error(c.log.String())
	}
}

// A dead socket, or none, causes no warning.
func TestNobodyListens(t *testing.T) {
	dead := place(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = os.Chmod(dead, 0o600)
	_ = l.Close()
	for _, path := range []string{dead, dead + "2", filepath.Join(dead, "below")} {
		c := client(path)
		c.Keep(t.Context(), "a", keyOf(1))
		if _, found := c.Get(t.Context(), "a"); found || c.log.Len() > 0 {
			t.Errorf("%s: found %v, said %s", path, found, c.log.String())
		}
		_, err := c.List(t.Context())
		wantKind(t, err, nebula.ErrNotFound)
	}
	start(t, dead, nil) // takes the place of the dead one
	if _, err := client(dead).List(t.Context()); err != nil {
		t.Error(err)
	}
}

// If others could have made the socket, or could use it, the client sends no byte and
// warns once.
func TestSocketThatIsNotSafe(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string, c *Client){
		"socket open to others":    func(_ *testing.T, path string, _ *Client) { _ = os.Chmod(path, 0o660) },
		"directory open to others": func(_ *testing.T, path string, _ *Client) { _ = os.Chmod(filepath.Dir(path), 0o755) },
		"another owner":            func(_ *testing.T, _ string, c *Client) { c.dialer.UID++ },
		"another user listens": func(_ *testing.T, _ string, c *Client) {
			c.dialer.Peer = func(*net.UnixConn) (int, error) { return c.dialer.UID + 1, nil }
		},
		"nobody knows who listens": func(_ *testing.T, _ string, c *Client) {
			c.dialer.Peer = func(*net.UnixConn) (int, error) { return 0, os.ErrInvalid }
		},
		"no socket": func(t *testing.T, path string, _ *Client) {
			_ = os.Remove(path)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a link to a directory": func(t *testing.T, path string, c *Client) {
			link := filepath.Dir(path) + "-link"
			if err := os.Symlink(filepath.Dir(path), link); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(link) })
			c.path = filepath.Join(link, "agent.sock")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := place(t)
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_ = os.Chmod(path, 0o600)
			received := make(chan int, 1)
			go func() {
				n := 0
				if conn, err := l.Accept(); err == nil {
					n, _ = conn.Read(make([]byte, 1))
				}
				received <- n
			}()
			c := client(path)
			spoil(t, path, c.Client)
			for range 3 {
				c.Keep(t.Context(), "a", keyOf(1))
				if _, found := c.Get(t.Context(), "a"); found {
					t.Error("got a key")
				}
			}
			if c.warnings() != 1 {
				t.Errorf("%d warnings: %s", c.warnings(), c.log.String())
			}
			_ = l.Close()
			if n := <-received; n > 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestAnotherUsersProcess(t *testing.T) {
	path := place(t)
	start(t, path, func(a *Agent) { a.socket.Peer = func(*net.UnixConn) (int, error) { return os.Geteuid() + 1, nil } })
	c := client(path)
	c.Keep(t.Context(), "a", keyOf(1))
	if c.warnings() != 1 {
		t.Errorf("%d warnings: %s", c.warnings(), c.log.String())
	}
	_, err := c.List(t.Context())
	wantKind(t, err, nebula.ErrUnavailable)
}

// An agent that ends does not remove the socket of a later one.
func TestEndOfAnOlderAgent(t *testing.T) {
	path := place(t)
	stop := start(t, path, nil)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	stopSecond := start(t, path, nil)
	client(path).Keep(t.Context(), "a", keyOf(1))
	stop()
	if _, found := client(path).Get(t.Context(), "a"); !found {
		t.Error("the socket of the second agent is gone")
	}
	stopSecond()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the last agent did not remove its socket: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	if err := CheckPath("/" + strings.Repeat("a", MaxSocketPath-1)); err != nil {
		t.Error(err)
	}
	running := place(t)
	start(t, running, nil)
	open := place(t)
	if err := os.Chmod(filepath.Dir(open), 0o750); err != nil {
		t.Fatal(err)
	}
	file := place(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]nebula.Kind{
		running:                                  nebula.ErrAlreadyExists,
		open:                                     nebula.ErrInvalidConfig,
		file:                                     nebula.ErrInvalidConfig,
		"relative.sock":                          nebula.ErrInvalidConfig,
		"/" + strings.Repeat("a", MaxSocketPath): nebula.ErrInvalidConfig,
	} {
		_, err := Listen(t.Context(), path, time.Hour)
		wantKind(t, err, want)
	}
	t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	_, err := Listen(t.Context(), place(t), time.Hour)
	wantKind(t, err, nebula.ErrNotSupported)
}

// If several agents start at once in the place of a dead one, one remains.
func TestManyBegin(t *testing.T) {
	path := place(t)
	for range 5 {
		var mu sync.Mutex
		var won []*Agent
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				a, err := Listen(context.Background(), path, time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, a)
				} else if nebula.KindOf(err) != nebula.ErrAlreadyExists {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d agents listen", len(won))
		}
		_ = won[0].socket.UnixListener.Close() // it dies, and leaves its socket
	}
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func TestWrongMessages(t *testing.T) {
	path := place(t)
	start(t, path, nil)
	hello := request{Op: opHello, Version: protocolVersion}
	for name, messages := range map[string][]request{
		"no hello":         {{Op: opList}},
		"another version":  {{Op: opHello, Version: 2}},
		"unknown":          {hello, {Op: "dump"}},
		"no key":           {hello, {Op: opAdd, Address: "a"}},
		"a short key":      {hello, {Op: opAdd, Address: "a", Key: make([]byte, 31)}},
		"no address":       {hello, {Op: opAdd, Key: make([]byte, 32)}},
		"a long address":   {hello, {Op: opAdd, Address: strings.Repeat("a", maxAddress+1), Key: make([]byte, 32)}},
		"a time before it": {hello, {Op: opAdd, Address: "a", Key: make([]byte, 32), TTL: -1}},
	} {
		conn, last := dial(t, path), response{}
		for _, m := range messages {
			if err := write(conn, m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			last = response{}
			if err := read(conn, &last); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if last.Error == "" {
			t.Errorf("%s: accepted", name)
		}
		if err := read(conn, &last); err == nil {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	for name, raw := range map[string][]byte{
		"too long":  binary.BigEndian.AppendUint32(nil, maxMessage+1),
		"not JSON":  append(binary.BigEndian.AppendUint32(nil, 3), "abc"...),
		"cut":       append(binary.BigEndian.AppendUint32(nil, 30), "abc"...),
		"no length": {0, 0},
	} {
		conn := dial(t, path)
		_, _ = conn.Write(raw)
		_ = conn.(*net.UnixConn).CloseWrite()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: answered", name)
		}
	}
	if entries, err := client(path).List(t.Context()); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A client does not wait for an agent that does not answer, and warns once.
func TestSilentAgent(t *testing.T) {
	path := place(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = os.Chmod(path, 0o600)
	c := client(path)
	for range 2 {
		if _, found := c.Get(t.Context(), "a"); found {
			t.Error("found")
		}
	}
	if c.warnings() != 1 {
		t.Errorf("%d warnings: %s", c.warnings(), c.log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cancelled := client(path)
	cancelled.Get(ctx, "a")
	if cancelled.warnings() != 0 {
		t.Errorf("a caller that gave up is warned: %s", cancelled.log.String())
	}
}

// The text of an agent is shown cut and escaped.
func TestHostileAgent(t *testing.T) {
	path := place(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = os.Chmod(path, 0o600)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_ = write(conn, response{Error: "\x1b[2J\u202e" + strings.Repeat("x", 1000)})
		}
	}()
	_, err = client(path).List(t.Context())
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") || len(err.Error()) > 400 {
		t.Errorf("got %v", err)
	}
}
