//go:build unix

package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

func TestTooWide(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode][2]string{
		0o600: {"", ""}, 0o400: {"", ""},
		0o640: {"mode 0640: the group may read it", ""},
		0o620: {"mode 0620: the group may write it", "mode 0620: the group may write it"},
		0o660: {"mode 0660: the group may read and write it", "mode 0660: the group may write it"},
		0o644: {"mode 0644: others may read it", "mode 0644: others may read it"},
		0o664: {"mode 0664: the group may read and write it", "mode 0664: the group may write it"},
		0o624: {"mode 0624: the group may write it", "mode 0624: the group may write it"},
		0o602: {"mode 0602: others may write it", "mode 0602: others may write it"},
		0o666: {"mode 0666: others may read and write it", "mode 0666: others may read and write it"},
		0o611: {"mode 0611: others may enter or run it", "mode 0611: others may enter or run it"},
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, group := range []bool{false, true} {
			if got := TooWide(info, group); got != want[i] {
				t.Errorf("%o, group %v: %q, want %q", mode, group, got, want[i])
			}
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := TooWide(info, false); got != "it belongs to the user of number 12345" {
		t.Errorf("a foreign file: %q", got)
	}
}

// TestWritable: the reason names the right to write, and the mode is the file's.
func TestWritable(t *testing.T) {
	for mode, want := range map[os.FileMode]string{
		0o700: "", 0o755: "", 0o744: "",
		0o775: "mode 0775: the group may write it",
		0o757: "mode 0757: others may write it",
		0o730: "mode 0730: the group may write it",
	} {
		if got := (Stat{Mode: os.ModeDir | mode}).Writable(); got != want {
			t.Errorf("%o: %q, want %q", mode, got, want)
		}
	}
}

// TestQuote: a shell gives each path back as it was.
func TestQuote(t *testing.T) {
	for _, path := range []string{"/plain/path-1_2.3", "/with space", "/it's", "/$HOME/`id`;x", "", "~", "/new\nline", "/é", "a=b"} {
		out, err := exec.Command("sh", "-c", "printf %s "+Quote(path)).Output()
		if err != nil || string(out) != path {
			t.Errorf("%q became %q, %v", path, out, err)
		}
	}
	if got := Quote("/plain/path"); got != "/plain/path" {
		t.Errorf("needless quotes: %s", got)
	}
	if got, want := Restrict("/a b", "/c"), "chmod 600 '/a b' /c"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCreateDoesNotDependOnTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o777} {
		path := filepath.Join(t.TempDir(), "a", "b", "key")
		previous := unix.Umask(umask)
		err := Create(path, nil)
		unix.Umask(previous)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("umask %o: %s has mode %v, %v", umask, name, info.Mode(), err)
			}
		}
	}
}

func TestCreateOverALink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.Symlink("elsewhere", path); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, nil); !os.IsExist(err) {
		t.Errorf("a link was followed or replaced: %v", err)
	}
	alone(t, filepath.Dir(path), "key")
}

// TestWaysToCreate: if the file system does not know the first way, the others give the
// same.
func TestWaysToCreate(t *testing.T) {
	d := open(t)
	for name, way := range map[string]func(*Staged, string) error{
		"rename": (*Staged).renameNew, "reserve": (*Staged).renameReserved,
	} {
		s, err := d.Stage([]byte(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := way(s, name); err != nil {
			t.Fatal(err)
		}
		s.file.close()
		if data, _, err := d.Read(name, 100); string(data) != name || err != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		again, err := d.Stage(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := way(again, name); !os.IsExist(err) {
			if l, ok := err.(*os.LinkError); !ok || l.Err != unix.EEXIST {
				t.Errorf("%s, a second time: %v", name, err)
			}
		}
		again.Discard()
	}
}

// TestManyReserve: on a file system with neither links nor a rename that replaces
// nothing, one of many callers makes the file, and nobody sees it empty.
func TestManyReserve(t *testing.T) {
	for range 20 {
		d := open(t)
		done := make(chan struct{})
		var reading, writing sync.WaitGroup
		reading.Go(func() {
			for {
				data, _, err := d.Read("file", 100)
				if err == nil && string(data) != "whole" || err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a reader sees %q, %v", data, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		var made atomic.Int32
		for range 8 {
			writing.Go(func() {
				s, err := d.Stage([]byte("whole"))
				if err != nil {
					t.Error(err)
					return
				}
				defer s.file.close()
				switch err := s.renameReserved("file"); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, fs.ErrExist):
					t.Error(err)
				default:
					_ = d.Remove(s.name)
				}
			})
		}
		writing.Wait()
		close(done)
		reading.Wait()
		if made.Load() != 1 {
			t.Errorf("%d callers made the file", made.Load())
		}
		alone(t, d.Path(), "file")
	}
}

// TestLeftReservation: the error names a reservation that was left, and nobody takes it
// over.
func TestLeftReservation(t *testing.T) {
	d := open(t)
	left := filepath.Join(d.Path(), "file"+reservedSuffix)
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := d.Stage(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	var reserved *ReservedError
	if err := s.renameReserved("file"); !errors.As(err, &reserved) || reserved.Path != left {
		t.Errorf("got %v", err)
	}
}

// TestLockFile: a lock is a file of its owner alone. Anything else in its place is
// refused.
func TestLockFile(t *testing.T) {
	for what, c := range map[string]struct {
		make    func(path string) error
		regular bool
	}{
		"none":        {func(string) error { return nil }, true},
		"too wide":    {func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666)) }, true},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o700) }, false},
		"a pipe":      {func(path string) error { return unix.Mkfifo(path, 0o600) }, false},
		"a link":      {func(path string) error { return os.Symlink("elsewhere", path) }, false},
	} {
		d := open(t)
		path := filepath.Join(d.Path(), ".lock")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		l := NewLock(".lock")
		err := l.Lock(t.Context(), nil, d)
		if err == nil {
			l.Unlock()
		}
		l.Close()
		var special *NotRegularError
		switch {
		case !c.regular && (!errors.As(err, &special) || IsLockError(err)):
			t.Errorf("%s: %v", what, err)
		case c.regular && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.regular:
			if stat, err := d.Lstat(".lock"); stat.Mode != 0o600 || err != nil {
				t.Errorf("%s: it has mode %v, %v", what, stat.Mode, err)
			}
		}
		if left := openfiles.Below(path); len(left) > 0 {
			t.Errorf("%s: left open: %v", what, left)
		}
	}
}

// TestLockFileReplaced: a lock on the file that was removed does not keep out the
// holder of the new file, and the next Lock notices the new file.
func TestLockFileReplaced(t *testing.T) {
	d := open(t)
	one, two := NewLock(".lock"), NewLock(".lock")
	defer one.Close()
	defer two.Close()
	holds(t, one, d)
	if err := d.Remove(".lock"); err != nil {
		t.Fatal(err)
	}
	if err := two.Lock(t.Context(), nil, d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := one.Lock(ctx, nil, d); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another holds the lock: %v", err)
	}
	two.Unlock()
	holds(t, one, d)
}

// TestProbeLock: it leaves nothing. It tries the directory if there is no file, and a
// shared lock if the file can only be read.
func TestProbeLock(t *testing.T) {
	d := open(t)
	if known, err := d.ProbeLock(".lock", "file"); !known || err != nil {
		t.Errorf("without files: %v, %v", known, err)
	}
	if entries, err := os.ReadDir(d.Path()); len(entries) != 0 || err != nil {
		t.Errorf("it made %v, %v", entries, err)
	}
	if err := os.WriteFile(filepath.Join(d.Path(), "file"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if known, err := d.ProbeLock(".lock", "file"); !known || err != nil {
		t.Errorf("a file that can only be read: %v, %v", known, err)
	}
	if err := os.Symlink("file", filepath.Join(d.Path(), ".lock")); err != nil {
		t.Fatal(err)
	}
	var special *NotRegularError
	if _, err := d.ProbeLock(".lock", "file"); !errors.As(err, &special) || IsLockError(err) {
		t.Errorf("a link: %v", err)
	}
}

// TestHold: a file that is held can be replaced and removed.
func TestHold(t *testing.T) {
	d := open(t)
	for _, text := range []string{"old", "new"} {
		held := d.Hold("file")
		s, err := d.Stage([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit("file"); err != nil {
			t.Fatal(err)
		}
		held.Release()
		if data, _, err := d.Read("file", 10); string(data) != text || err != nil {
			t.Errorf("got %q, %v", data, err)
		}
	}
	held := d.Hold("file")
	if err := d.Remove("file"); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" && len(openfiles.Below(filepath.Join(d.Path(), "file"))) != 1 {
		t.Error("the file that is held was freed")
	}
	held.Release()
}

// TestShortReads: a read that gives a part, or is interrupted, is not the end.
func TestShortReads(t *testing.T) {
	const text = "0123456789"
	broken := errors.New("broken")
	for what, c := range map[string]struct {
		reads []int // bytes of each; -1 means interrupted, -2 means failed
		size  int64
		want  string
		err   error
	}{
		"at once":      {[]int{10}, 10, text, nil},
		"in parts":     {[]int{3, 1, 6}, 10, text, nil},
		"interrupted":  {[]int{-1, 3, -1, 7}, 10, text, nil},
		"cut off":      {[]int{3, 0}, 10, text[:3], nil},
		"empty by now": {[]int{0}, 10, "", nil},
		"grown":        {[]int{3}, 3, text[:3], nil},
		"empty":        {nil, 0, "", nil},
		"broken":       {[]int{3, -2}, 10, "", broken},
	} {
		at, reads := 0, c.reads
		data, err := readSize(func(p []byte) (int, error) {
			if len(reads) == 0 {
				t.Fatalf("%s: more reads than expected", what)
			}
			n := reads[0]
			reads = reads[1:]
			switch n {
			case -1:
				return -1, unix.EINTR
			case -2:
				return -1, broken
			}
			at += copy(p[:n], text[at:])
			return n, nil
		}, c.size)
		if string(data) != c.want || err != c.err || len(reads) != 0 {
			t.Errorf("%s: %q, %v, %d reads are left", what, data, err, len(reads))
		}
	}
}

// TestStat: a link is followed only if the caller asks for it.
func TestStat(t *testing.T) {
	d := open(t)
	link := filepath.Join(d.Path(), "link")
	if err := os.Symlink(".", link); err != nil {
		t.Fatal(err)
	}
	self, err := d.Stat()
	if err != nil || !self.Mode.IsDir() {
		t.Fatalf("the directory: %+v, %v", self, err)
	}
	if followed, err := StatPath(link); followed.ID != self.ID || err != nil {
		t.Errorf("followed: %+v, %v, want %+v", followed, err, self)
	}
	if itself, err := LstatPath(link); itself.ID == self.ID || itself.Mode.Type() != fs.ModeSymlink || err != nil {
		t.Errorf("the link: %+v, %v", itself, err)
	}
	none := filepath.Join(d.Path(), "none")
	_, stat := StatPath(none)
	_, lstat := LstatPath(none)
	_, opened := Open(none)
	for _, err := range []error{stat, lstat, opened, d.Remove("none")} {
		if onPath, ok := err.(*fs.PathError); !ok || onPath.Path != none || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is missing: %v", err)
		}
	}
}

func TestFileMode(t *testing.T) {
	for mode, want := range map[uint32]fs.FileMode{
		unix.S_IFREG: 0, unix.S_IFDIR: fs.ModeDir, unix.S_IFLNK: fs.ModeSymlink, unix.S_IFIFO: fs.ModeNamedPipe,
		unix.S_IFSOCK: fs.ModeSocket, unix.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice, unix.S_IFBLK: fs.ModeDevice,
		0: fs.ModeIrregular,
	} {
		if got := fileMode(mode | 0o640); got != want|0o640 {
			t.Errorf("%o: %v, want %v", mode, got, want|0o640)
		}
	}
}
