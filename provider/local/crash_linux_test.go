package local_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/providertest"
)

// calls are the calls of a store or a deletion that can fail.
var calls = []string{"openat", "fchmod", "flock", "write", "fsync", "renameat", "unlinkat", "newfstatat", "fstat", "close"}

// ending is how a process ended after strace changed one of its calls.
type ending struct {
	told, complained string
	failed           bool
	hit              bool // the process made that call
}

// unloaded says that the process had not begun: the loader of a program that uses C
// also makes calls.
func (e ending) unloaded() bool { return strings.Contains(e.complained, "loading shared libraries") }

// inject runs role in another process, and strace applies what to its nth call.
func inject(t *testing.T, role, dir, call, what string, nth int, environment ...string) ending {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := other(t.Context(), role, dir, environment...)
	cmd.Args = append([]string{"strace", "-f", "-qq", "-o", log, "-e", "trace=" + call,
		"-e", fmt.Sprintf("inject=%s:%s:when=%d", call, what, nth)}, cmd.Args...)
	var out, complaints bytes.Buffer
	cmd.Path, cmd.Stdout, cmd.Stderr = strace(t), &out, &complaints
	failed := cmd.Run() // the caller looks at what it leaves
	if cmd.ProcessState.ExitCode() == leftOpen {
		t.Errorf("%s with %s of %s %d: %s", role, what, call, nth, &complaints)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	hit := bytes.Contains(text, []byte("INJECTED")) || bytes.Contains(text, []byte("killed by SIGKILL"))
	return ending{out.String(), complaints.String(), failed != nil, hit}
}

func strace(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		missing(t, "strace")
	}
	return path
}

// TestKilledAtEveryCall kills a process at each of its calls: either the old record
// is stored or the new one, and the next writer cleans up.
func TestKilledAtEveryCall(t *testing.T) {
	strace(t)
	for _, role := range []string{"store", "delete"} {
		hits := 0
		for _, call := range calls {
			for nth := 1; nth < 40; nth++ {
				s := newStore(t)
				old := s.put("id", "old")
				if !inject(t, role, s.dir, call, "signal=KILL", nth).hit {
					break
				}
				hits++
				s.survives(role, old, fmt.Sprintf("%s killed at %s %d", role, call, nth))
			}
		}
		t.Logf("%s was killed at %d calls", role, hits)
		if hits < 8 {
			t.Errorf("%s was killed at only %d calls: strace does not see them", role, hits)
		}
	}
}

// TestKilledWhileMakingTheKeyring: with and without locks, either there is no keyring
// or a whole one, and the next process goes on from there.
func TestKilledWhileMakingTheKeyring(t *testing.T) {
	for _, locking := range []bool{true, false} {
		hits := 0
		for _, call := range []string{"openat", "flock", "write", "fsync", "renameat2", "close"} {
			for nth := 1; nth < 40; nth++ {
				s := newStore(t, func(c *local.Config) { c.EnableLocking = locking })
				s.put("id", "v")
				if !inject(t, "init", s.dir, call, "signal=KILL", nth, fmt.Sprint("NEBULA_TEST_LOCKING=", locking)).hit {
					break
				}
				hits++
				_, err := s.Retrieve(t.Context(), nebula.KeyringName())
				_, again := s.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
				made := err == nil && nebula.KindOf(again) == nebula.ErrAlreadyExists
				free := nebula.KindOf(err) == nebula.ErrNotFound && again == nil
				if !made && !free {
					t.Errorf("killed at %s %d: %v; made again: %v", call, nth, err, again)
				}
			}
		}
		if hits < 6 {
			t.Errorf("it was killed at only %d calls", hits)
		}
	}
}

// survives checks a store after something happened to a process that wrote to it.
func (s store) survives(role string, old []byte, what string) {
	s.Helper()
	record, err := s.Retrieve(s.Context(), named("id"))
	switch {
	case err == nil && bytes.Equal(record.Envelope.Bytes(), old):
	case err == nil && role == "store": // ParseEnvelope found it whole
	case role == "delete" && nebula.KindOf(err) == nebula.ErrNotFound:
	default:
		s.Errorf("%s: %v", what, err)
	}
	next := openStore(s.T, s.dir)
	next.holds("id", next.put("id", "next"))
	if err := next.Close(); err != nil {
		s.Error(err)
	}
	if left := s.temps(); len(left) != 0 {
		s.Errorf("%s: left behind %v", what, left)
	}
}

// failing are calls of a store that can fail or be interrupted.
var failing = []string{"write", "fsync", "renameat", "openat", "unlinkat", "fstat", "newfstatat", "flock"}

// TestFailedCalls: a call that fails leaves the old record or the whole new one, and
// no temporary file. Each acknowledged record is stored.
func TestFailedCalls(t *testing.T) {
	strace(t)
	hits := 0
	for _, call := range failing {
		for _, errno := range []string{"EIO", "ENOSPC"} {
			for nth := 1; nth < 10; nth++ {
				s := newStore(t)
				old := s.put("id", "old")
				end := inject(t, "store", s.dir, call, "error="+errno, nth)
				if !end.hit {
					break
				}
				hits++
				what := fmt.Sprintf("%s of %s %d", errno, call, nth)
				record, err := s.Retrieve(t.Context(), named("id"))
				switch {
				case err != nil:
					t.Errorf("%s: %v", what, err)
				case !end.failed && bytes.Equal(record.Envelope.Bytes(), old):
					t.Errorf("%s: it was acknowledged and is not stored", what)
				case !end.failed && (call == "fsync" || call == "renameat" || call == "write" && nth == 1):
					t.Errorf("%s: it was acknowledged", what)
				}
				s.survives("store", old, what)
			}
		}
	}
	if hits < 8 {
		t.Errorf("only %d calls failed: strace does not see them", hits)
	}
}

// TestInterruptedCalls: an interrupted call is made again.
func TestInterruptedCalls(t *testing.T) {
	strace(t)
	for _, role := range []string{"store", "retrieve", "delete", "create"} {
		hits := 0
		for _, call := range failing {
			for nth := 1; ; nth++ {
				s := newStore(t)
				s.put("id", "old")
				end := inject(t, role, s.dir, call, "error=EINTR", nth)
				if !end.hit {
					break
				}
				hits++
				if end.failed && !end.unloaded() {
					t.Errorf("%s with EINTR of %s %d: %s", role, call, nth, end.complained)
				}
			}
		}
		if hits < 4 {
			t.Errorf("%s: %d calls were interrupted: strace does not see them", role, hits)
		}
	}
}

// TestFailedReads: if a call fails in a read, the record counts neither as damaged
// nor as missing.
func TestFailedReads(t *testing.T) {
	strace(t)
	hits := 0
	for _, call := range []string{"openat", "newfstatat", "fstat", "read"} {
		for nth := 1; nth < 20; nth++ {
			s := newStore(t)
			s.put("id", "old")
			end := inject(t, "retrieve", s.dir, call, "error=EIO", nth)
			if !end.hit {
				break
			}
			hits++
			if end.failed && !end.unloaded() && !strings.Contains(end.complained, "input/output error") {
				t.Errorf("EIO of %s %d: %s", call, nth, end.complained)
			}
		}
	}
	if hits < 4 {
		t.Errorf("only %d calls failed: strace does not see them", hits)
	}
}

// TestKilledAtRandom: every acknowledged store is there after the process was
// killed at any time.
func TestKilledAtRandom(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	s := newStore(t)
	s.put("id", "old")
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := other(ctx, "stores", s.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond+rand.N(50*time.Millisecond), cancel)
		var acknowledged []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			acknowledged = append(acknowledged, lines.Text())
		}
		_ = cmd.Wait()
		cancel()
		record, err := s.Retrieve(t.Context(), named("id"))
		if err != nil {
			t.Fatal(err)
		}
		// One more may have been put in place without being acknowledged. Every
		// earlier one must be gone.
		for i, version := range acknowledged {
			if version == string(record.Version) && i != len(acknowledged)-1 {
				t.Fatalf("the store went back to acknowledged record %d of %d", i+1, len(acknowledged))
			}
		}
	}
	s.list(nebula.Filter{})
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// mounted returns the root directory of its own file system.
func mounted(t *testing.T, fstype, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root, to mount "+fstype)
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, fstype, 0, options); err != nil {
		missing(t, fstype+" with "+options+": "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := mounted(t, "tmpfs", "size=256k,mode=700")
	s := openStore(t, filepath.Join(dir, "credentials"))
	old := s.put("id", "old")
	s.put("other", "v")
	if err := fill(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	_, err := s.Store(t.Context(), named("id"), sealed("id", strings.Repeat("x", 8<<10), nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrUnavailable, "store", "no space left", s.dir)
	s.holds("id", old)
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := deleted(s.Delete(t.Context(), named("other"), nebula.Precondition{})); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	s.put("id", "new")
}

// fill writes until nothing more fits.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return nil
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mounted(t, "tmpfs", "size=1m,mode=700")
	s := openStore(t, dir)
	record := s.put("id", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	_, err := s.Store(t.Context(), named("id"), sealed("id", "w", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrPermissionDenied, "store", "read-only")
	fails(t, deleted(s.Delete(t.Context(), named("id"), nebula.Precondition{})), nebula.ErrPermissionDenied, "delete", "read-only")
	s.holds("id", record)
}
