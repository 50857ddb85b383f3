package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// TestCurrent: a snapshot has another number if the content is different, and stays the
// same as long as the file does.
func TestCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "state")
	f := at(path)
	current := func(missing bool, number uint64, lines int) *Snapshot[entry] {
		t.Helper()
		s, err := f.Current()
		if err != nil {
			t.Fatal(err)
		}
		if s.Missing != missing || s.Number != number || len(s.Lines) != lines {
			t.Errorf("missing: %v, number %d, %d lines; want %v, %d, %d", s.Missing, s.Number, len(s.Lines), missing, number, lines)
		}
		return s
	}
	current(true, 0, 0)
	set(t, at(path), "a", 1)
	if s := current(false, 1, 1); s.settled || current(false, 1, 1) == s {
		t.Error("a file that was just written was not read again: a change of it might not show")
	}
	set(t, at(path), "a", 1) // another file
	current(false, 1, 1)
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	s, end := current(false, 1, 1), time.Now().Add(30*time.Second)
	for !s.settled { // the change time of an inode cannot be set: it has to pass
		if time.Now().After(end) {
			t.Fatal("the file never settled")
		}
		time.Sleep(10 * time.Millisecond)
		s = current(false, 1, 1)
	}
	if current(false, 1, 1) != s {
		t.Error("a file that has not changed was read again")
	}
	set(t, at(path), "b", 1)
	current(false, 2, 2)
	write(t, path, "")
	current(false, 3, 0)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	current(true, 4, 0)
	current(true, 4, 0)
}

func TestIsDenied(t *testing.T) {
	for err, want := range map[error]bool{
		fs.ErrPermission: true, atomicfile.ErrNoLocks: true, ErrFull: false, ErrInvalid: false, errors.New("other"): false,
		syscall.EROFS: true,
	} {
		if got := (&Error{Err: err}).IsDenied(); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
