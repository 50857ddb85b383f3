//go:build unix

package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
)

func TestSweep(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	dead := filepath.Join(s.dir, ".tmp-"+strings.Repeat("a", 32))
	live := filepath.Join(s.dir, ".tmp-"+strings.Repeat("b", 32))
	for _, path := range []string{dead, live, filepath.Join(s.dir, ".tmp-other")} {
		if err := os.WriteFile(path, []byte("part"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	findings(t, s.full, "temporary files", nebula.SeverityWarning, "1 ", filepath.Base(dead))
	s.list(nebula.Filter{})
	if left := s.temps(); len(left) != 2 {
		t.Errorf("the list left %v", left)
	}

	if err := os.WriteFile(dead, []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := openStore(t, s.dir)
	next.put("id", "w")
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if left := s.temps(); len(left) != 2 {
		t.Errorf("the first write left %v", left)
	}
}

func TestLockFileRemoved(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	for range 3 {
		if err := os.Remove(filepath.Join(s.dir, ".lock")); err != nil {
			t.Fatal(err)
		}
		s.put("id", "w")
	}
}

func TestCheck(t *testing.T) {
	s := newStore(t)
	findings(t, s.full, "directory", nebula.SeverityOK, "first write")
	s.put("linked", "v")
	s.put("wide", "v")
	for _, f := range s.Check(t.Context()) {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("a sound store: %+v", f)
		}
	}
	if err := os.Link(s.path("linked"), filepath.Join(t.TempDir(), "elsewhere")); err != nil {
		t.Skip(err)
	}
	for _, err := range []error{os.Chmod(s.path("wide"), 0o644), os.Mkdir(s.path("dir"), 0o700), os.Chmod(s.dir, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	findings(t, s.full, "hard links", nebula.SeverityWarning, "linked.enc.json")
	findings(t, s.full, "mode", nebula.SeverityWarning, "others may read", "wide.enc.json")
	findings(t, s.full, "special files", nebula.SeverityError, "dir.enc.json")
	findings(t, s.full, "lock", nebula.SeverityOK)
}

type checker interface {
	Describe() nebula.Description
	nebula.Checker
}

// findings checks that the findings of that check say all of words.
func findings(t *testing.T, c checker, check string, severity nebula.Severity, words ...string) {
	t.Helper()
	text := ""
	for _, f := range c.Check(t.Context()) {
		if f.Check == check && f.Severity == severity {
			text += f.Message + "\n" + f.Fix + "\n"
		}
	}
	if text == "" {
		t.Errorf("there is no %s of %q", severity, check)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q of %q does not say %q", text, check, word)
		}
	}
}

// What is not the store's own is named, and neither listed nor touched.
func TestOtherFilesAreNamed(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	for _, f := range s.Check(t.Context()) {
		if f.Check == "other files" {
			t.Errorf("in a store of its own files alone: %+v", f)
		}
	}
	for _, name := range []string{"id.enc.json.bak", "notes.txt", ".DS_Store", ".tmp-" + strings.Repeat("a", 32)} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	findings(t, s.full, "other files", nebula.SeverityWarning, "3 ", "id.enc.json.bak", "notes.txt", ".DS_Store")
	s.list(nebula.Filter{})
	if _, err := os.Stat(filepath.Join(s.dir, "notes.txt")); err != nil {
		t.Error(err)
	}
}
