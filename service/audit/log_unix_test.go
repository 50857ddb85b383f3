//go:build unix

package audit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
)

func TestFilesOfOthers(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"others may write":    func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o606)) },
		"the group may write": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o660)) },
		"a link":              func(p string) error { return errors.Join(os.WriteFile(p+"2", nil, 0o600), os.Symlink(p+"2", p)) },
		"a link to nothing":   func(p string) error { return os.Symlink(p+"2", p) },
		"a second name":       func(p string) error { return errors.Join(os.WriteFile(p+"2", nil, 0o600), os.Link(p+"2", p)) },
		"a named pipe":        func(p string) error { return unix.Mkfifo(p, 0o600) },
		"a directory":         func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		path := filepath.Join(t.TempDir(), "audit")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		if nebula.KindOf(err) != nebula.ErrInvalidConfig || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	path := newPath(t)
	open(t, path, Options{})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is made with %v, %v", info.Mode(), err)
	}
}

// limitEnv is the variable that makes the test's process limit the size of files.
const limitEnv = "NEBULA_TEST_AUDIT_LIMIT"

// If there is no room, nothing is served. The incomplete line stays alone. When there is
// room again, a line says how many are missing.
func TestNoRoom(t *testing.T) {
	if path := os.Getenv(limitEnv); path != "" {
		noRoom(t, path)
		return
	}
	path := newPath(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoRoom$", "-test.v")
	cmd.Env = append(os.Environ(), limitEnv+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestNoRoom") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func noRoom(t *testing.T, path string) {
	l := open(t, path, Options{})
	write(t, l, Entry{Request: "first"})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		t.Helper()
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(info.Size()) + 10)
	for range 3 {
		if err := l.Write(Entry{Request: "lost"}); nebula.KindOf(err) != nebula.ErrUnavailable || strings.Contains(err.Error(), path) {
			t.Fatalf("a line without room: %v", err)
		}
		if err := l.Healthy(); nebula.KindOf(err) != nebula.ErrUnavailable || !strings.Contains(errors.Unwrap(err).Error(), path) {
			t.Fatalf("without room the log is healthy: %v", err)
		}
	}
	limit(unix.RLIM_INFINITY)
	if err := l.Healthy(); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	write(t, l, Entry{Request: "last"})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(text), "\n")
	if len(all) != 5 || len(all[1]) != 10 || !strings.Contains(all[2], `"audit_failed","lost":3}`) || !strings.Contains(all[3], `"last"`) {
		t.Errorf("the file holds %q", all)
	}
}

// If a process died in the middle of a line, its part stays alone.
func TestCutLineOfAnotherProcess(t *testing.T) {
	path := newPath(t)
	open(t, path, Options{})
	if err := os.WriteFile(path, []byte(`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, path, Options{}), Entry{Request: "next"})
	text, err := os.ReadFile(path)
	if want := "{\"time\":\"20\n{\"time\":\"0001-01-01T00:00:00.000000Z\",\"request\":\"next\"}\n"; string(text) != want || err != nil {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// After a failed flush the log opens the file again.
func TestFailedFlush(t *testing.T) {
	path := newPath(t)
	l := open(t, path, Options{Sync: true})
	old := l.out
	l.out.flushNow = func() error { return syscall.EIO }
	if err := l.Write(Entry{Request: "lost"}); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Fatalf("a line that may not last: %v", err)
	}
	write(t, l, Entry{Request: "next"})
	if l.out == old {
		t.Error("the descriptor is used again")
	}
	if all := lines(t, path); len(all) != 3 || all[1]["lost"] != 1.0 || all[2]["request"] != "next" {
		t.Errorf("the file holds %v", all)
	}
}
