//go:build unix

package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/providertest"
)

// holdLock holds the store's lock as another process would.
func holdLock(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o77, 0o777} {
		s := newStore(t)
		func() {
			defer unix.Umask(unix.Umask(umask))
			s.put("id", "v")
			if _, err := s.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
		}()
		if got := mode(t, s.dir); got != 0o700 {
			t.Errorf("umask %o: the directory has mode %o", umask, got)
		}
		for _, file := range []string{"id.enc.json", ".keyring.enc.json", ".lock"} {
			if got := mode(t, filepath.Join(s.dir, file)); got != 0o600 {
				t.Errorf("umask %o: %s has mode %o", umask, file, got)
			}
		}
	}
}

// TestInTheWay: every operation refuses at once anything that is not a file, and does
// not change it or the target of a link.
func TestInTheWay(t *testing.T) {
	s := newStore(t)
	s.put("good", "v")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	obstacles := map[string]func(path string) error{
		"link":     func(path string) error { return os.Symlink(outside, path) },
		"inside":   func(path string) error { return os.Symlink("good.enc.json", path) },
		"dangling": func(path string) error { return os.Symlink("nowhere", path) },
		"pipe":     func(path string) error { return unix.Mkfifo(path, 0o600) },
		"dir":      func(path string) error { return os.Mkdir(path, 0o700) },
		"socket":   func(path string) error { return listen(t, path) },
	}
	if os.Geteuid() == 0 {
		obstacles["device"] = func(path string) error {
			return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) // endless zeros
		}
	}
	for id, make := range obstacles {
		t.Run(id, func(t *testing.T) {
			s := store{t, s.full, s.dir}
			path := s.path(id)
			if err := make(path); err != nil {
				t.Skip(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			s.refuses(id)
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("it was not left alone: %v", err)
			}
		})
	}
	if data, err := os.ReadFile(outside); string(data) != "outside" {
		t.Errorf("what a link points to is %q, %v", data, err)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (s store) refuses(id string) {
	s.Helper()
	_, err := s.Retrieve(s.Context(), named(id))
	fails(s.T, err, nebula.ErrCorrupted, "retrieve", s.path(id), "left alone")
	_, err = s.Exists(s.Context(), named(id))
	fails(s.T, err, nebula.ErrCorrupted, "exists", s.path(id))
	_, err = s.Store(s.Context(), named(id), sealed(id, "v", nil), nebula.StoreOptions{})
	fails(s.T, err, nebula.ErrCorrupted, "store", s.path(id))
	fails(s.T, deleted(s.Delete(s.Context(), named(id), nebula.Precondition{})), nebula.ErrCorrupted, "delete", s.path(id))
	for _, filter := range []nebula.Filter{{}, {CreatedAfter: time.Unix(0, 0)}} {
		fails(s.T, s.list(filter)[nebula.ID(id)].Err, nebula.ErrCorrupted, "list", s.path(id))
	}
}

// listen makes a socket. The length of its path is limited, so it is made elsewhere.
func listen(t *testing.T, path string) error {
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short)
	l, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	return os.Rename(filepath.Join(short, "s"), path)
}

func TestALinkInPlaceOfTheLock(t *testing.T) {
	s := newStore(t)
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "target")
	if err := os.Symlink(target, filepath.Join(s.dir, ".lock")); err != nil {
		t.Fatal(err)
	}
	_, err := s.Store(t.Context(), named("id"), sealed("id", "v", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrCorrupted, "store", ".lock", "symbolic link")
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}

func TestUnsafeDirectories(t *testing.T) {
	for _, wide := range []os.FileMode{0o777, 0o770, 0o775, 0o702, 0o1777} {
		dir := filepath.Join(t.TempDir(), "wide open")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, wide.Perm()); err != nil {
			t.Fatal(err)
		}
		p := newProvider(t, dir)
		fails(t, p.Connect(t.Context()), nebula.ErrInvalidConfig, "connect", "may", "write", "chmod 700 '"+dir+"'")
		if got := p.State(); got != nebula.StateConfigured {
			t.Errorf("the state is %v", got)
		}
		// Doctor is asked in exactly this state.
		findings(t, p, "directory", nebula.SeverityError, "may", "write",
			fmt.Sprintf("mode %04o", wide.Perm()), "chmod 700 '"+dir+"'")
	}
}

func TestDirectoryWidenedLater(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := s.Store(t.Context(), named("id"), sealed("id", "w", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrInvalidConfig, "store", "chmod 700")
	fails(t, deleted(s.Delete(t.Context(), named("id"), nebula.Precondition{})), nebula.ErrInvalidConfig, "delete", "chmod 700")
	if _, err := os.Lstat(s.path("id")); err != nil {
		t.Error(err)
	}
}

// TestBaseBecomesALinkToNothing: no directory is made in place of the link, or behind it.
func TestBaseBecomesALinkToNothing(t *testing.T) {
	parent := t.TempDir()
	link := filepath.Join(parent, "link")
	s := openStore(t, link)
	if err := os.Symlink(filepath.Join(parent, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store(t.Context(), named("id"), sealed("id", "v", nil), nebula.StoreOptions{}); err == nil {
		t.Error("it is stored in a directory that is not there")
	}
	if _, err := s.Retrieve(t.Context(), named("id")); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Errorf("retrieve: %v", err)
	}
	if to, err := os.Readlink(link); err != nil || filepath.Base(to) != "nowhere" {
		t.Errorf("the link leads to %s, %v", to, err)
	}
}

// TestLinkAboveTheBase: the directory is made where the link leads when it is made, and
// the address says where that is.
func TestLinkAboveTheBase(t *testing.T) {
	parent := t.TempDir()
	link := filepath.Join(parent, "link")
	leads := func(to string) {
		t.Helper()
		to = filepath.Join(parent, to)
		_ = os.Remove(link)
		if err := errors.Join(os.Mkdir(to, 0o700), os.Symlink(to, link)); err != nil {
			t.Fatal(err)
		}
	}
	leads("first")
	p := newProvider(t, filepath.Join(link, "credentials"))
	at := func(want string) {
		t.Helper()
		resolved, err := filepath.EvalSymlinks(parent)
		if got := p.Describe().Address; err != nil || got != filepath.Join(resolved, want, "credentials") {
			t.Errorf("the address is %s, want that in %s; %v", got, want, err)
		}
	}
	at("first")
	leads("second")
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	at("second")
	leads("third")
	s := store{t, p, filepath.Join(link, "credentials")}
	s.holds("id", s.put("id", "v"))
	at("third")
	for dir, want := range map[string]int{"first": 0, "second": 0, "third": 1} {
		if made, err := os.ReadDir(filepath.Join(parent, dir)); err != nil || len(made) != want {
			t.Errorf("%d were made in %s, %v", len(made), dir, err)
		}
	}
}

func TestForeignDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "root, to give a directory away")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	err := newProvider(t, dir).Connect(t.Context())
	fails(t, err, nebula.ErrInvalidConfig, "connect", "12345")
}

func TestBaseBehindALink(t *testing.T) {
	parent := t.TempDir()
	real, link := filepath.Join(parent, "real"), filepath.Join(parent, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, link)
	record := s.put("id", "v")
	if got := s.Describe().Address; got != openStore(t, real).Describe().Address {
		t.Errorf("the address is %s", got)
	}
	openStore(t, real).holds("id", record)

	// The link now leads elsewhere, as some tools do to change all files at once.
	next := newStore(t)
	record = next.put("id", "next")
	if err := os.Symlink(next.dir, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	soon(t, "the directory that the link leads to is read", func() bool {
		r, err := s.Retrieve(t.Context(), named("id"))
		return err == nil && bytes.Equal(r.Envelope.Bytes(), record)
	})
	s.put("id", "through the link")
	if got := s.Describe().Address; got != next.Describe().Address {
		t.Errorf("the address is %s", got)
	}
}

// asUser runs role as a user without root's rights. If the directory exists, it
// belongs to that user.
func asUser(t *testing.T, role, dir string) (string, error) {
	t.Helper()
	var environment []string
	if os.Geteuid() == 0 {
		const somebody = 12345
		environment = append(environment, "NEBULA_TEST_UID="+strconv.Itoa(somebody))
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, somebody, somebody))
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		// Only their owner may pass through the directories of tests.
		for above := filepath.Dir(dir); above != filepath.Clean(os.TempDir()) && above != "/"; above = filepath.Dir(above) {
			if info, err := os.Stat(above); err == nil && info.Mode().Perm() == 0o700 {
				_ = os.Chmod(above, 0o711)
			}
		}
	}
	cmd := other(t.Context(), role, dir, environment...)
	cmd.Stderr = nil
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestReadingNeedsNoWriting: a directory without the right to write can be read. A
// write says what is missing.
func TestReadingNeedsNoWriting(t *testing.T) {
	for _, mode := range []os.FileMode{0o500, 0o555} {
		s := newStore(t)
		s.put("id", "v")
		if err := os.Chmod(s.dir, mode); err != nil {
			t.Fatal(err)
		}
		out, err := asUser(t, "reads", s.dir)
		if err != nil {
			t.Errorf("mode %04o: %v: %s", mode, err, out)
		}
		for _, want := range []string{fmt.Sprintf("mode %04o", mode), "chmod 700 " + s.dir, "warning directory"} {
			if !strings.Contains(out, want) {
				t.Errorf("mode %04o: %q does not say %q", mode, out, want)
			}
		}
		if strings.Contains(out, "chmod 600") || strings.Contains(out, "mode 0600") {
			t.Errorf("mode %04o: a file's mode has nothing to do with it: %q", mode, out)
		}
		_ = os.Chmod(s.dir, 0o700)
	}
}

func TestDenied(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := os.Chmod(s.path("id"), 0); err != nil {
		t.Fatal(err)
	}
	out, err := asUser(t, "retrieve", s.dir)
	if err == nil || !strings.Contains(out, "mode 0000") || !strings.Contains(out, "chmod 600 "+s.path("id")) {
		t.Errorf("%v: %s", err, out)
	}
	// A directory above it denies access: no mode of its own would help.
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(parent, "a", "credentials")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(below), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(below), 0o700)
	out, err = asUser(t, "retrieve", below)
	if err == nil || !strings.Contains(out, filepath.Dir(below)+" has mode 0000") || strings.Contains(out, "chmod 700 "+below) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestLinkToNothing: the file system of the credentials is not mounted, for example.
func TestLinkToNothing(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "absent"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, filepath.Join(link, "below", "credentials")} {
		err := config(path).Validate()
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), link+" is a link to something that does not exist") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
