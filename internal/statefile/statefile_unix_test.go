//go:build unix

package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file is refused if others can write it, or its directory: they would decide what is
// trusted.
func TestOthersMayWrite(t *testing.T) {
	for what, c := range map[string]struct {
		file, dir os.FileMode
		fix       string
	}{
		"the file":      {0o602, 0o700, "chmod 600"},
		"its group":     {0o620, 0o700, "chmod 600"},
		"the directory": {0o600, 0o777, "chmod 700"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "state")
		set(t, at(path), "a", 1)
		for place, mode := range map[string]os.FileMode{path: c.file, dir: c.dir} {
			if err := os.Chmod(place, mode); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := at(path).Load("a")
		if !errors.Is(err, ErrInvalid) || !strings.Contains(hintOf(err), c.fix) {
			t.Errorf("%s: %v", what, err)
		}
		if err := at(path).Update("a", func(*entry) *entry { return nil }); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: an update gave %v", what, err)
		}
	}
}

// TestOthersMayRead: a private file is refused if others may read it, or if its group
// may and GroupReads is not set.
func TestOthersMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	set(t, at(path), "a", 1)
	for mode, c := range map[os.FileMode]struct{ public, private, group bool }{
		0o600: {true, true, true},
		0o640: {true, false, true},
		0o644: {true, false, false},
		0o660: {false, false, false},
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		public, private, group := at(path), at(path), at(path)
		private.Private, group.Private, group.GroupReads = true, true, true
		for f, want := range map[*File[entry]]bool{public: c.public, private: c.private, group: c.group} {
			_, found, err := f.Load("a")
			if found != want || want != (err == nil) || !want && !errors.Is(err, ErrInvalid) {
				t.Errorf("mode %o, private %v, for the group %v: %v, %v", mode, f.Private, f.GroupReads, found, err)
			}
		}
	}
}

func hintOf(err error) string {
	var e *Error
	_ = errors.As(err, &e)
	return e.Hint
}

// A link in place of the file is not followed.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	set(t, at(filepath.Join(dir, "other")), "a", 1)
	if err := os.Symlink("other", filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	if _, found, err := at(filepath.Join(dir, "state")).Load("a"); found || err == nil {
		t.Errorf("a link gave %v, %v", found, err)
	}
}
