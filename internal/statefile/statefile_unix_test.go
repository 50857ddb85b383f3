//go:build unix

package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who can write the file, or its directory, decides what is trusted.
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

func hintOf(err error) string {
	var e *Error
	_ = errors.As(err, &e)
	return e.Hint
}

// A link in the place of the file is not followed.
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
