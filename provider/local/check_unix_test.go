//go:build unix

package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/providertest"
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
			t.Errorf("a healthy store: %+v", f)
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

// findings checks that the findings of that check have all of words.
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

// Doctor names files that are not the store's own, and they are neither listed nor
// touched.
func TestOtherFilesAreNamed(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	for _, f := range s.Check(t.Context()) {
		if f.Check == "other files" {
			t.Errorf("in a store with only its own files: %+v", f)
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

// TestCopiesOfSynchronisingTools: some records may open only with a copy of the
// keyring, so no hint says to move it away.
func TestCopiesOfSynchronisingTools(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	keyring := providertest.Keyring().Bytes()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".keyring.enc.json", keyring)
	write("id.enc (someone's conflicted copy 2026-01-02).json", []byte("{}"))
	write("id.enc (1).json", []byte("{}"))
	write("notes (old).txt", []byte("notes"))
	write("keyring.bak", keyring) // the same: it may go
	findings(t, s.full, "conflict copies", nebula.SeverityWarning, "2 ", "newer", `"id.enc (1).json"`)
	findings(t, s.full, "other files", nebula.SeverityWarning, "2 ", "keyring.bak", "notes (old).txt")

	other := otherKeyring(t)
	for _, name := range []string{
		".keyring.enc (conflicted copy 2026-01-02 101112).json",
		".keyring.enc.sync-conflict-20260102-101112-ABCDEFG.json",
		"old keyring.json",
	} {
		write(name, other)
		findings(t, s.full, "keyring copies", nebula.SeverityWarning, "1 ", "only one that opens", "keep")
		for _, f := range s.Check(t.Context()) {
			if strings.Contains(f.Message, name) && strings.Contains(f.Fix, "move") {
				t.Errorf("a hint says to move %s away: %+v", name, f)
			}
		}
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// otherKeyring returns the keyring of another store.
func otherKeyring(t *testing.T) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "other")
	key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	s, err := nebula.Open(t.Context(), newProvider(t, dir), nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, ".keyring.enc.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCheckOfADirectoryThatCannotBeMade: doctor says so before the first write.
func TestCheckOfADirectoryThatCannotBeMade(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	out, err := asUser(t, "check", filepath.Join(parent, "a", "b"))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"error directory", "cannot be made", parent + " has mode 0555"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
}

// TestCheckWritesNothing: neither names nor times change.
func TestCheckWritesNothing(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := os.Remove(filepath.Join(s.dir, ".lock")); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(s.dir, ".tmp-"+strings.Repeat("a", 32))
	if err := os.WriteFile(stale, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := state(t, s.dir)
	s.Check(t.Context())
	if after := state(t, s.dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// state describes a directory and its content.
func state(t *testing.T, dir string) string {
	t.Helper()
	d, err := atomicfile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	own, err := d.Stat()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintln(own)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		stat, err := d.Lstat(e.Name())
		text += fmt.Sprintln(e.Name(), stat, err)
	}
	return text
}
