//go:build unix

package service_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/token"
)

// If others may read the file of tokens, or it is something else, no token is accepted.
// The log says why, and the answers do not.
func TestAttackTokenFile(t *testing.T) {
	var log service.Log
	a := attack(t, logging(&log))
	a.store.Set("a", "v")
	path := a.tokens.Path()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change, mend func() error
		told         string
	}{
		"others may read it": {func() error { return os.Chmod(path, 0o644) }, func() error { return os.Chmod(path, 0o600) }, "chmod 600"},
		"a link": {func() error { return errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path)) },
			func() error { return os.Rename(path+"2", path) }, "symbolic link"},
		"a named pipe": {func() error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) },
			func() error { return errors.Join(os.Remove(path), os.WriteFile(path, text, 0o600)) }, "named pipe"},
		"not there":  {func() error { return os.Remove(path) }, func() error { return os.WriteFile(path, text, 0o600) }, "no file of tokens"},
		"cut":        {func() error { return os.Truncate(path, int64(len(text)-3)) }, func() error { return os.WriteFile(path, text, 0o600) }, "line 1 is damaged"},
		"everything": {func() error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 5<<20), 0o600) }, func() error { return os.WriteFile(path, text, 0o600) }, "5242880 bytes"},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		log.Take()
		for _, s := range a.sites {
			s.want(ask{method: "GET", path: at("a")}, 503, "unavailable")
			got := s.want(ask{method: "GET", path: at("a")}, 503, "unavailable")
			if strings.Contains(got.body, filepath.Dir(path)) || strings.Contains(got.body, "chmod") {
				t.Errorf("%s: the answer says %s", what, got.body)
			}
			s.want(ask{method: "GET", path: "/healthz", token: "-"}, 200, "")
			if got := s.want(ask{method: "GET", path: "/readyz", token: "-"}, 503, "unavailable"); strings.Contains(got.body, filepath.Dir(path)) {
				t.Errorf("%s: the answer to a probe says %s", what, got.body)
			}
		}
		told := log.Take()
		if !strings.Contains(told, path) || !strings.Contains(told, c.told) {
			t.Errorf("%s: the log says %q", what, told)
		}
		if n := strings.Count(told, c.told); n != len(a.sites) {
			t.Errorf("%s: the log says it %d times for %d services", what, n, len(a.sites))
		}
		if err := c.mend(); err != nil {
			t.Fatal(err)
		}
		for _, s := range a.sites {
			s.want(ask{method: "GET", path: at("a")}, 200, "")
		}
	}
}

// limited runs a test alone in another process, in which files can be prevented from
// growing.
func limited(t *testing.T, run func(t *testing.T, limit func(size int64))) {
	t.Helper()
	const variable = "NEBULA_TEST_LIMITED"
	if os.Getenv(variable) == t.Name() {
		run(t, func(size int64) {
			t.Helper()
			cur := uint64(unix.RLIM_INFINITY)
			if size >= 0 {
				cur = uint64(size)
			}
			if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: unix.RLIM_INFINITY}); err != nil {
				t.Fatal(err)
			}
		})
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// While the audit log cannot be written, nothing is served and the backend is not
// called. When it can be written again, everything is served.
func TestAttackAuditFull(t *testing.T) {
	limited(t, func(t *testing.T, limit func(int64)) {
		var log service.Log
		r, store := memory(t, logging(&log))
		store.Set("a", "v")
		r.want(ask{method: "GET", path: at("a")}, 200, "")
		info, err := os.Stat(r.audit)
		if err != nil {
			t.Fatal(err)
		}
		limit(info.Size() + 20)
		got := r.want(ask{method: "PUT", path: at("a"), body: "lost", header: asBytes()}, 503, "unavailable")
		if strings.Contains(got.body, r.audit) || !strings.Contains(got.body, "may have been made") {
			t.Errorf("the answer is %s", got.body)
		}
		if told := log.Take(); !strings.Contains(told, r.audit) || !strings.Contains(told, "for want of room") {
			t.Errorf("the log says %q", told)
		}
		now, calls := store.Value("a"), store.Calls("store")+store.Calls("retrieve")+store.Calls("delete")
		for _, asks := range operations("a") {
			for _, q := range asks {
				got := r.want(q, 503, "unavailable")
				if strings.Contains(got.body, now) {
					t.Errorf("%s %s: %s", q.method, q.path, got.body)
				}
			}
		}
		if more := store.Calls("store") + store.Calls("retrieve") + store.Calls("delete") - calls; more != 0 || store.Value("a") != now {
			t.Errorf("%d calls of the backend, and the value is %q", more, store.Value("a"))
		}
		r.want(ask{method: "GET", path: "/healthz", token: "-"}, 200, "")
		limit(-1)
		r.want(ask{method: "GET", path: at("a")}, 200, "")
		text, err := os.ReadFile(r.audit)
		if err != nil || !strings.Contains(string(text), `"outcome":"audit_failed","lost":`) {
			t.Errorf("after that, the audit log has %s, %v", text, err)
		}
	})
}

// If the disk is full when the file of tokens is written, the old file stays complete
// and in use.
func TestAttackTokenDiskFull(t *testing.T) {
	limited(t, func(t *testing.T, limit func(int64)) {
		r, store := memory(t)
		store.Set("a", "v")
		before, err := os.ReadFile(r.tokens.Path())
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range []int64{0, 1, int64(len(before))} {
			limit(room)
			_, err := r.tokens.Add(t.Context(), token.Grant{Name: "more", Allow: token.Verbs()})
			limit(-1)
			if err == nil || !errors.Is(err, unix.EFBIG) {
				t.Errorf("a token was added without room: %v", err)
			}
			limit(0)
			err = r.tokens.Remove(t.Context(), "all")
			limit(-1)
			if err != nil && room > 0 { // an empty file needs no room
				t.Errorf("removing the last token: %v", err)
			}
			if err := os.WriteFile(r.tokens.Path(), before, 0o600); err != nil {
				t.Fatal(err)
			}
			r.want(ask{method: "GET", path: at("a")}, 200, "")
		}
		limit(int64(len(before)))
		_, err = r.tokens.Add(t.Context(), token.Grant{Name: "more", Allow: token.Verbs()})
		limit(-1)
		if err == nil {
			t.Error("a token was added without room")
		}
		after, err := os.ReadFile(r.tokens.Path())
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("the file was changed: %v", err)
		}
		r.want(ask{method: "GET", path: at("a")}, 200, "")
		left, err := filepath.Glob(filepath.Join(filepath.Dir(r.tokens.Path()), ".tmp-*"))
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// Another user who reaches the socket, because somebody opened its directory, gets no
// byte. Only root can test that. TestAnotherUser tests it for every other user.
func TestAttackFromAnotherUser(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	s := a.sites[3]
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	socket := conn.RemoteAddr().String()
	_ = conn.Close()
	for path, mode := range map[string]fs.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	dir := filepath.Dir(socket)
	if err := errors.Join(os.Chmod(socket, 0o666), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	request := "GET " + at("a") + " HTTP/1.1\r\n" + s.login() + "Connection: close\r\n\r\n"
	got := asNobody(t, socket, request)
	if got != "" {
		t.Errorf("another user gets %q", got)
	}
	if lines := a.lines(); len(lines) != 0 {
		t.Errorf("the request was looked at: %v", lines)
	}
	if text := s.send(request); !strings.Contains(text, `"v"`) {
		t.Errorf("the same user gets %q", text)
	}
}
