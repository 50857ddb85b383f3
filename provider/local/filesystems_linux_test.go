package local_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/providertest"
)

// lacking runs role in another process. Each of its calls fails with errno, as on a
// file system that does not know them. It returns what the process wrote to stderr,
// and how it ended.
func lacking(t *testing.T, role, dir, calls, errno string, environment ...string) (string, error) {
	t.Helper()
	return traced(t, role, dir, []string{"-e", "trace=" + calls, "-e", "inject=" + calls + ":error=" + errno}, environment...)
}

func traced(t *testing.T, role, dir string, options []string, environment ...string) (string, error) {
	t.Helper()
	cmd := other(t.Context(), role, dir, environment...)
	log := filepath.Join(t.TempDir(), "log")
	cmd.Args = append(append([]string{"strace", "-f", "-qq", "-o", log}, options...), cmd.Args...)
	cmd.Path = strace(t)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	return said.String(), err
}

// TestFileSystemWithoutLocks: the error names what is missing, and a store works if
// it is configured as the hint says.
func TestFileSystemWithoutLocks(t *testing.T) {
	for _, errno := range []string{"ENOSYS", "ENOLCK", "EOPNOTSUPP"} {
		s := newStore(t)
		for _, role := range []string{"init", "store"} {
			said, err := lacking(t, role, s.dir, "flock", errno)
			if err == nil || !strings.Contains(said, "does not lock files") || !strings.Contains(said, "enable_locking = false") {
				t.Errorf("%s of %s: %v, %q", errno, role, err, said)
			}
			if said, err := lacking(t, role, s.dir, "flock", errno, "NEBULA_TEST_LOCKING=false"); err != nil {
				t.Errorf("%s of %s, without locks: %v, %q", errno, role, err, said)
			}
		}
		for _, name := range []nebula.Name{named("id"), nebula.KeyringName()} {
			if _, err := s.Retrieve(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
		if left := s.temps(); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestRefusedLocks: the error does not blame the mode of the directory.
func TestRefusedLocks(t *testing.T) {
	for _, errno := range []string{"EACCES", "EPERM"} {
		s := newStore(t)
		said, err := lacking(t, "store", s.dir, "flock", errno)
		if err == nil || strings.Contains(said, "chmod") || !strings.Contains(said, "refuses to lock") {
			t.Errorf("%s: %v, %q", errno, err, said)
		}
	}
}

// TestFileSystemWithoutLinks: many make the keyring on a file system that has
// neither links nor a rename that replaces nothing.
func TestFileSystemWithoutLinks(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 4 {
		all.Go(func() {
			said, err := lacking(t, "init", s.dir, "renameat2,linkat", "EINVAL", "NEBULA_TEST_LOCKING=false")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !strings.Contains(said, "already") {
				t.Errorf("%v, %q", err, said)
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("%d made the keyring", made)
	}
	if _, err := s.Retrieve(t.Context(), nebula.KeyringName()); err != nil {
		t.Error(err)
	}
}

// TestFileSystemWithLinksOnly: if there are links but no rename that replaces
// nothing, a link makes the keyring, and its temporary name is removed at once.
func TestFileSystemWithLinksOnly(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if said, err := lacking(t, "init", s.dir, "renameat2", "EINVAL", "NEBULA_TEST_LOCKING=false"); err != nil {
		t.Fatalf("%v, %q", err, said)
	}
	if _, err := s.Retrieve(t.Context(), nebula.KeyringName()); err != nil {
		t.Error(err)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFileSystemWithoutModes: records are ciphertext, so they are written even if no
// mode can be set.
func TestFileSystemWithoutModes(t *testing.T) {
	for _, errno := range []string{"EPERM", "EOPNOTSUPP"} {
		s := newStore(t)
		for _, umask := range []string{"000", "200"} { // the first umask makes the directory
			said, err := lacking(t, "store", s.dir, "fchmod,fchmodat", errno, "NEBULA_TEST_UMASK="+umask)
			if err != nil {
				t.Fatalf("%s, umask %s: %v, %q", errno, umask, err, said)
			}
			if _, err := s.Retrieve(t.Context(), named("id")); err != nil {
				t.Error(err)
			}
		}
		// A record that could not be read afterwards is not acknowledged.
		said, err := lacking(t, "store", s.dir, "fchmod", errno, "NEBULA_TEST_UMASK=777")
		if err == nil {
			t.Errorf("a record of mode 0000 was stored: %q", said)
		}
	}
}

// TestHeldBetweenMakingAndLocking: if a writer stops for a moment after it made its
// temporary file, a busy sweeper removes the file. The writer makes another one and
// succeeds.
func TestHeldBetweenMakingAndLocking(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	d, err := atomicfile.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	swept := 0
	sweeping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			names, err := d.Names()
			for err == nil {
				err = names.Next(func(name []byte, _ fs.FileMode) {
					if d.Sweep(string(name)) {
						swept++
					}
				})
			}
			_ = names.Close()
		}
	})
	held := []string{"-e", "trace=flock", "-e", fmt.Sprintf("inject=flock:delay_enter=%d", 60_000)} // microseconds
	said, err := traced(t, "store", s.dir, held)
	close(done)
	sweeping.Wait()
	if err != nil || swept == 0 {
		t.Errorf("after %d sweeps: %v, %q", swept, err, said)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestLocksAreTakenForWriting: NFS gives an exclusive lock only if the file was
// opened for writing.
func TestLocksAreTakenForWriting(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	stale := filepath.Join(s.dir, ".tmp-"+strings.Repeat("a", 32))
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "calls")
	if said, err := traced(t, "store", s.dir, []string{"-y", "-e", "trace=openat,flock", "-o", log}); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	locked := 0
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, s.dir) {
			continue
		}
		if strings.Contains(line, "flock(") && strings.Contains(line, "LOCK_EX") {
			locked++
		}
		if strings.Contains(line, "openat(") && strings.Contains(line, ".tmp-") && strings.Contains(line, "O_RDONLY") {
			t.Errorf("opened only for reading: %s", line)
		}
	}
	if locked < 3 { // the lock, the new file, the stale one
		t.Errorf("only %d locks were taken:\n%s", locked, text)
	}
	if _, err := os.Lstat(stale); err == nil {
		t.Error("the stale file was not swept")
	}
}

// TestCheckWithoutLocks: nobody can tell whether the writers of temporary files are
// alive, so doctor names old ones, and asks for no locks.
func TestCheckWithoutLocks(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := s.Close(); err != nil { // it sweeps during its first write
		t.Fatal(err)
	}
	old := filepath.Join(s.dir, ".tmp-"+strings.Repeat("a", 32))
	for _, path := range []string{old, filepath.Join(s.dir, ".tmp-"+strings.Repeat("b", 32))} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	out, err := lacking(t, "check", s.dir, "flock", "ENOLCK")
	if err != nil || !strings.Contains(out, "error lock") || !strings.Contains(out, "does not lock files") {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(out, "1 are older than an hour") || !strings.Contains(out, filepath.Base(old)) {
		t.Errorf("old temporary files are not named: %s", out)
	}
	out, err = lacking(t, "check", s.dir, "flock", "ENOLCK", "NEBULA_TEST_LOCKING=false")
	if err != nil || !strings.Contains(out, "warning lock") || strings.Contains(out, "set enable_locking = true") {
		t.Errorf("%v: %s", err, out)
	}
}

// mountFAT mounts a new FAT file system with the kernel or, if the kernel has none,
// an exFAT with FUSE. Neither has links or modes of its own, and both fold case.
func mountFAT(t *testing.T, options string) string {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	script := `mkfs.vfat "$0" && mount -o "loop,$2" "$0" "$1" && exit
		mkfs.exfat "$0" && device=$(losetup -f --show "$0") || exit 1
		mount.exfat-fuse -o "$2" "$device" "$1"
		losetup -d "$device" # when it is no longer in use
		mountpoint "$1"`
	if out, err := exec.Command("sh", "-c", script, image, dir, options).CombinedOutput(); err != nil {
		t.Skipf("needs root, loop devices, and FAT or the packages exfatprogs and exfat-fuse: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return filepath.Join(dir, "credentials")
}

// TestFAT tests on a real FAT. Hooks and failing calls test everywhere what such a
// file system changes.
func TestFAT(t *testing.T) {
	s := openStore(t, mountFAT(t, "umask=077"))
	record := s.put("Token", "v")
	_, err := s.Store(t.Context(), named("token"), sealed("token", "w", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrConflict, "store", "case alone", "Token.enc.json")
	if _, err := s.Retrieve(t.Context(), named("TOKEN")); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Errorf("retrieve: %v", err)
	}
	if found, err := s.Exists(t.Context(), named("token")); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	if err := deleted(s.Delete(t.Context(), named("token"), nebula.Precondition{})); err != nil {
		t.Errorf("delete: %v", err)
	}
	s.holds("Token", record)
	for i, want := range []nebula.Kind{"", nebula.ErrAlreadyExists} {
		_, err := s.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		if nebula.KindOf(err) != want {
			t.Errorf("keyring %d: %v", i, err)
		}
	}
	s.put("other", "v")
	var writing sync.WaitGroup
	writing.Go(func() {
		for range 100 {
			if _, err := s.Store(t.Context(), named("other"), sealed("other", "w", nil), nebula.StoreOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 300 {
		if _, err := s.Retrieve(t.Context(), named("other")); err != nil {
			t.Errorf("a reader beside a writer: %v", err)
		}
	}
	writing.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestModesOfTheMount: others may read the files, and the hint is about the mount.
func TestModesOfTheMount(t *testing.T) {
	s := openStore(t, mountFAT(t, "umask=022"))
	s.holds("id", s.put("id", "v"))
	findings(t, s.full, "mode", nebula.SeverityWarning, "mode 0755", "umask=077")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
