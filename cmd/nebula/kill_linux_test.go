package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/transfer"
)

// fileCalls are the system calls that change files, and those around them.
var fileCalls = []string{"openat", "mkdirat", "fchmod", "flock", "write", "pwrite64", "pread64", "ftruncate", "fsync", "syncfs",
	"renameat", "renameat2", "linkat", "unlinkat", "getdents64", "newfstatat", "fstat", "close"}

// victim runs the command, and kills it.
type victim struct {
	*testing.T
	home, strace string
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatal("strace is not installed")
		}
		t.Skip("strace is not installed")
	}
	return &victim{t, t.TempDir(), strace}
}

func (v *victim) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = v.home
	cmd.Env = []string{"HOME=" + v.home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + v.home, raceExit}
	return cmd
}

func (v *victim) run(args ...string) {
	v.Helper()
	if out, err := v.command("nebula", args...).CombinedOutput(); err != nil {
		v.Fatalf("%v: %v: %s", args, err, out)
	}
}

// killAt runs the command and kills it at the nth of the calls, counted in each thread.
// It reports whether there was an nth call.
func (v *victim) killAt(call string, nth int, args ...string) bool {
	v.Helper()
	log := filepath.Join(v.TempDir(), "log")
	trace := []string{"-f", "-qq", "-o", log, "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, nth), "nebula"}
	_ = v.command(v.strace, append(trace, args...)...).Run() // killed
	text, err := os.ReadFile(log)
	if err != nil {
		v.Fatal(err)
	}
	return bytes.Contains(text, []byte("killed by SIGKILL"))
}

// everywhere kills the command at every call of every kind. before runs before each
// kill, and after looks at the result.
func (v *victim) everywhere(before func() (args []string), after func(where string)) {
	v.Helper()
	most := 100
	if testing.Short() {
		most = 3
	}
	hits := 0
	for _, call := range fileCalls {
		for nth := 1; nth <= most; nth++ {
			if !v.killAt(call, nth, before()...) {
				break
			}
			hits++
			after(fmt.Sprintf("killed at %s %d", call, nth))
		}
	}
	v.Logf("killed at %d calls", hits)
	if hits < 20 {
		v.Errorf("it was killed at %d calls only", hits)
	}
}

// open opens a store of files with the key file of the default store.
func (v *victim) open(base string) *nebula.Store {
	v.Helper()
	config := local.DefaultConfig()
	config.BasePath = base
	p, err := local.New(config)
	if err != nil {
		v.Fatal(err)
	}
	s, err := nebula.Open(v.Context(), p, nebula.Options{Keys: []nebula.Key{&nebula.KeyFile{Path: filepath.Join(v.home, ".config", "nebula", "key")}}})
	if err != nil {
		v.Fatal(err)
	}
	return s
}

func (v *victim) backup(name string) (*transfer.Backup, error) {
	v.Helper()
	data, err := os.ReadFile(filepath.Join(v.home, name))
	if err != nil {
		v.Fatal(err)
	}
	return transfer.OpenBackup(bytes.NewReader(data), int64(len(data)))
}

// putThree makes the default store, and a backup of it.
func (v *victim) putThree() {
	v.Helper()
	for _, id := range []string{"one", "two", "three"} {
		value := filepath.Join(v.home, "value")
		if err := os.WriteFile(value, []byte("value of "+id), 0o600); err != nil {
			v.Fatal(err)
		}
		v.run("put", id, "--file", value, "--tag", "is="+id)
	}
	v.run("export", "--out", "backup")
}

// At whatever call an export is killed, its file is the old one or the new one,
// complete. The next export leaves nothing else behind.
func TestExportKilledAtEveryCall(t *testing.T) {
	v := newVictim(t)
	v.putThree()
	old, err := os.ReadFile(filepath.Join(v.home, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	v.run("delete", "three")
	if err := os.Mkdir(filepath.Join(v.home, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join("out", "backup")
	kept, replaced := 0, 0
	v.everywhere(func() []string {
		if err := os.WriteFile(filepath.Join(v.home, target), old, 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"export", "--out", target}
	}, func(where string) {
		b, err := v.backup(target)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		switch b.Len() {
		case 3:
			kept++
		case 2:
			replaced++
		default:
			t.Errorf("%s: %d records", where, b.Len())
		}
	})
	t.Logf("the old file was found %d times, the new one %d times", kept, replaced)
	if kept == 0 {
		t.Error("the export was never killed before it replaced the file")
	}
	v.run("export", "--out", target)
	if b, err := v.backup(target); err != nil || b.Len() != 2 {
		t.Error("the next export is not complete", err)
	}
	if entries, err := os.ReadDir(filepath.Join(v.home, "out")); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// At whatever call an import is killed, each credential is complete or missing. The next
// import does the rest.
func TestImportKilledAtEveryCall(t *testing.T) {
	v := newVictim(t)
	v.putThree()
	b, err := v.backup("backup")
	if err != nil {
		t.Fatal(err)
	}
	want := allOf(t, v.open(filepath.Join(v.home, ".local", "share", "nebula", "credentials")))
	config := filepath.Join(v.home, ".config", "nebula", "config.toml")
	n := 0
	base := ""
	found := make(map[int]int)
	v.everywhere(func() []string {
		n++
		base = filepath.Join(v.home, fmt.Sprint("store", n))
		if err := os.WriteFile(config, fmt.Appendf(nil, "[storage.local]\nbase_path = %q\n", base), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"import", "backup"}
	}, func(where string) {
		s := v.open(base)
		defer s.Close()
		there := allOf(t, s)
		found[len(there)]++
		for id, value := range there {
			if want[id] != value {
				t.Errorf("%s: %s is %s", where, id, value)
			}
		}
		r, err := transfer.Import(t.Context(), s, b, transfer.ImportOptions{})
		if err != nil || len(r.Imported)+len(r.Same) != 3 || len(r.Same) != len(there) || !maps.Equal(allOf(t, s), want) {
			t.Errorf("%s: then %+v, %v", where, r, err)
		}
		if left := temporary(t, base); len(left) > 0 {
			t.Errorf("%s: left behind %v", where, left)
		}
	})
	t.Logf("how often each number of credentials was found: %v", found)
	if found[0] == 0 {
		t.Error("the import was never killed before it stored something")
	}
}

// allOf returns the credentials of a store, if there is one.
func allOf(t *testing.T, s *nebula.Store) map[nebula.ID]string {
	t.Helper()
	all := make(map[nebula.ID]string)
	for e, err := range s.List(t.Context(), nebula.ListOptions{}) {
		if nebula.KindOf(err) == nebula.ErrNotFound {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Get(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		all[e.ID] = fmt.Sprintf("%s %+v", c.Secret.Reveal(), c.Metadata)
	}
	return all
}

func temporary(t *testing.T, dir string) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if atomicfile.IsTemp(e.Name()) || strings.HasSuffix(e.Name(), ".reserved") {
			left = append(left, e.Name())
		}
	}
	slices.Sort(left)
	return left
}
