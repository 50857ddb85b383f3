//go:build unix

package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestErrorsNameTheCall: whatever fails says so, with the call and the path.
func TestErrorsNameTheCall(t *testing.T) {
	d := &Dir{path: "/dir", handle: handle{-1}}
	s := &Staged{dir: d, name: "name", file: stagedFile{-1}}
	_, stat := d.Stat()
	_, lstat := d.Lstat("name")
	_, _, read := d.Read("name", 1)
	_, staged := d.Stage(nil)
	_, filled := d.StageFunc(func(Filling) error { return nil })
	_, names := d.Names()
	_, probed := d.ProbeLock("name")
	for _, c := range []struct {
		want string
		err  error
	}{
		{"stat /dir: ", stat}, {"lstat /dir/name: ", lstat}, {"open /dir/name: ", read}, {"open /dir: ", names},
		{"create /dir/" + tempPrefix, staged}, {"create /dir/" + tempPrefix, filled}, {"open /dir/name: ", probed},
		{"fsync /dir: ", d.Flush()}, {"remove /dir/name: ", d.Remove("name")}, {"", d.Close()},
		{"write /dir/name: ", s.write([]byte("x"))}, {"fsync /dir/name: ", s.flush()}, {"truncate /dir/name: ", Filling{s}.Reset()},
		{"rename /dir/name /dir/new: ", s.Commit("new")}, {"rename /dir/name /dir/new: ", s.CommitNew("new")},
		{"open /dir/.lock: ", NewLock(".lock").Lock(t.Context(), nil, d)},
	} {
		if !errors.Is(c.err, unix.EBADF) || !strings.HasPrefix(c.err.Error(), c.want) {
			t.Errorf("got %v, want %q", c.err, c.want)
		}
	}
	if n, err := (Filling{s}).Write([]byte("x")); n != 0 || !errors.Is(err, unix.EBADF) {
		t.Errorf("%d bytes were written, %v", n, err)
	}
	readable, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(readable)
	if err := (Filling{&Staged{dir: d, name: "name", file: stagedFile{readable}}}).Reset(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("what cannot be made shorter: %v", err)
	}
}

// TestMakeDirs: what is there must be a directory.
func TestMakeDirs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, good := range map[string]bool{dir: true, filepath.Join(dir, "a", "b"): true, file: false, filepath.Join(file, "a"): false} {
		if err := MakeDirs(path); (err == nil) != good {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSweepTakesTemporaryFilesAlone: each of these stays, or goes.
func TestSweepTakesTemporaryFilesAlone(t *testing.T) {
	const random = "0123456789abcdef0123456789abcdef"
	file := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	for name, c := range map[string]struct {
		make func(path string) error
		goes bool
	}{
		".tmp-" + random:                      {file(""), true}, // of any version
		".tmp-" + random[2:] + "ff":           {file("text"), true},
		".tmp-" + random[2:] + "fe-new":       {file("text"), true},
		".tmp-" + random[2:] + "fd-new":       {file(""), false},
		".tmp-" + random[2:] + "fc":           {func(path string) error { return unix.Mkfifo(path, 0o600) }, false},
		".tmp-" + random[2:] + "fb":           {func(path string) error { return os.Mkdir(path, 0o700) }, false},
		".tmp-" + random[2:] + "fa":           {func(path string) error { return os.Symlink("file", path) }, false},
		".tmp-" + random[2:]:                  {file(""), false},
		".tmp-" + random + "00":               {file(""), false},
		".tmp-" + random[2:] + "f9" + ".json": {file(""), false},
		"file":                                {file(""), false},
	} {
		d := open(t)
		if err := c.make(d.join(name)); err != nil {
			t.Fatal(err)
		}
		if d.IsStale(name) != c.goes || d.Sweep(name) != c.goes {
			t.Errorf("%s, swept: want %v", name, c.goes)
		}
		if _, err := d.Lstat(name); (err == nil) == c.goes {
			t.Errorf("%s: %v", name, err)
		}
		if c.goes && (d.IsStale(name) || d.Sweep(name)) {
			t.Errorf("%s was swept again", name)
		}
	}
}

// TestIsSpared: for a minute, and not longer.
func TestIsSpared(t *testing.T) {
	now, name := time.Now(), tempName()+sparedSuffix
	for age, want := range map[time.Duration]bool{-time.Hour: true, 0: true, time.Minute - 1: true, time.Minute: false, time.Hour: false} {
		if isSpared(name, 0, now.Add(-age), now) != want || isSpared(name, 1, now.Add(-age), now) || isSpared(tempName(), 0, now.Add(-age), now) {
			t.Errorf("an empty file that is %v old is spared: want %v, and no other", age, want)
		}
	}
}

// TestResetToNothing: nothing of what was dropped is left.
func TestResetToNothing(t *testing.T) {
	d := open(t)
	s, err := d.StageFunc(func(f Filling) error { _, err := f.Write([]byte("dropped")); return errors.Join(err, f.Reset()) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit("file"); err != nil {
		t.Fatal(err)
	}
	if data, _, err := d.Read("file", 10); len(data) != 0 || err != nil {
		t.Errorf("it holds %q, %v", data, err)
	}
}

// TestReservationOfAnother: it is waited for. If its owner gives up, the name is
// free; if it has the file, the name is taken.
func TestReservationOfAnother(t *testing.T) {
	for _, c := range []struct {
		becomes string // of the reservation
		want    error
	}{{"", nil}, {"file", fs.ErrExist}} {
		d := open(t)
		reservation := d.join("file" + reservedSuffix)
		if err := os.WriteFile(reservation, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := d.Stage([]byte("ours"))
		if err != nil {
			t.Fatal(err)
		}
		want := "ours"
		time.AfterFunc(20*time.Millisecond, func() {
			if c.becomes == "" {
				_ = os.Remove(reservation)
			} else {
				_ = os.Link(reservation, d.join(c.becomes))
			}
		})
		err = s.renameReserved("file")
		if !errors.Is(err, c.want) {
			t.Errorf("after it became %q: %v", c.becomes, err)
		}
		if err != nil {
			s.Discard()
			want = "theirs"
		} else {
			s.file.close()
		}
		if data, _, err := d.Read("file", 10); string(data) != want || err != nil {
			t.Errorf("after it became %q: %q, %v", c.becomes, data, err)
		}
	}
}

// TestProbeOfALockThatIsHeld: that shows that files can be locked.
func TestProbeOfALockThatIsHeld(t *testing.T) {
	d := open(t)
	l := NewLock(".lock")
	defer l.Close()
	if err := l.Lock(context.Background(), nil, d); err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	if known, err := d.ProbeLock(".lock"); !known || err != nil {
		t.Errorf("%v, %v", known, err)
	}
}

// TestLockOfOthers: a special file is not made one's own by a mode that is right, and
// the files of others are not changed.
func TestLockOfOthers(t *testing.T) {
	d := open(t)
	pipe := d.join("pipe")
	if err := errors.Join(unix.Mkfifo(pipe, 0o600), os.Chmod(pipe, 0o666)); err != nil {
		t.Fatal(err)
	}
	var special *NotRegularError
	if err := NewLock("pipe").Lock(t.Context(), nil, d); !errors.As(err, &special) {
		t.Errorf("a pipe: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	other := d.join("other")
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Chmod(other, 0o666), os.Chown(other, 12345, -1)); err != nil {
		t.Fatal(err)
	}
	l := NewLock("other")
	defer l.Close()
	holds(t, l, d)
	if stat, err := d.Lstat("other"); stat.Mode != 0o666 || err != nil {
		t.Errorf("the lock of another user has mode %v, %v", stat.Mode, err)
	}
}
