package atomicfile

import (
	"errors"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// limited runs do while no file may have more bytes than that.
func limited(t *testing.T, bytes uint64, do func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}()
	do()
}

// TestTooManyOpenFiles: if no more files can be opened, no file counts as missing, as
// not regular, or as written.
func TestTooManyOpenFiles(t *testing.T) {
	d := open(t)
	path := filepath.Join(d.Path(), "file")
	if err := Create(path, []byte("text")); err != nil {
		t.Fatal(err)
	}
	for files, fails := range map[int]bool{0: true, 1: true, 100: false} {
		var made error
		openfiles.Limit(t, files, func() { made = Create(filepath.Join(d.Path(), "new"), nil) })
		if errors.Is(made, unix.EMFILE) != fails || !fails && made != nil {
			t.Errorf("with %d files: %v", files, made)
		}
		if err := d.Remove("new"); (err != nil) != fails {
			t.Errorf("with %d files: %v", files, err)
		}
	}
	var special *NotRegularError
	openfiles.Limit(t, 0, func() {
		_, _, read := d.Read("file", 10)
		_, staged := d.Stage(nil)
		_, filled := d.StageFunc(func(Filling) error { return nil })
		_, errs := d.StageAll([][]byte{nil, nil})
		_, probed := d.ProbeLock("file")
		l := NewLock(".lock")
		for _, err := range append(errs, read, staged, filled, probed, l.Lock(t.Context(), nil, d)) {
			if !errors.Is(err, unix.EMFILE) || errors.As(err, &special) || IsLockError(err) {
				t.Errorf("got %v", err)
			}
		}
		held := d.Hold("file")
		held.Release()
	})
	alone(t, d.Path(), "file")
}

// TestTooLongFiles: if a file cannot be written as a whole, nothing of it is left.
func TestTooLongFiles(t *testing.T) {
	const large = 1 << 20
	d := open(t)
	text := []byte(strings.Repeat("x", large))
	limited(t, large-1, func() {
		_, staged := d.Stage(text)
		_, filled := d.StageFunc(func(f Filling) error { _, err := f.Write(text); return err })
		all, errs := d.StageAll([][]byte{text, text[1:]})
		for _, err := range []error{staged, filled, errs[0], Create(filepath.Join(d.Path(), "file"), text)} {
			if !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), "write "+d.Path()) {
				t.Errorf("got %v", err)
			}
		}
		if all[0] != nil || errs[1] != nil {
			t.Errorf("the first of two: %v; the second: %v", all[0], errs[1])
			return
		}
		if err := all[1].Commit("short"); err != nil {
			t.Error(err)
		}
	})
	alone(t, d.Path(), "short")
}
