//go:build unix

package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// If others can access the file, it is not used, and the error says how to repair it.
func TestFileOfOthers(t *testing.T) {
	f := newFile(t)
	secret := add(t, f, grant("ci"))
	dir := filepath.Dir(f.Path())
	for what, c := range map[string]struct {
		change, back func() error
		hint         string
	}{
		"readable by the group":    {func() error { return os.Chmod(f.Path(), 0o640) }, func() error { return os.Chmod(f.Path(), 0o600) }, "chmod 600"},
		"readable by others":       {func() error { return os.Chmod(f.Path(), 0o604) }, func() error { return os.Chmod(f.Path(), 0o600) }, "chmod 600"},
		"in a directory of others": {func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o700) }, "chmod 700"},
		"a link": {func() error {
			if err := os.Rename(f.Path(), f.Path()+".real"); err != nil {
				return err
			}
			return os.Symlink(f.Path()+".real", f.Path())
		}, func() error { return os.Rename(f.Path()+".real", f.Path()) }, ""},
		"a directory": {func() error {
			if err := os.Rename(f.Path(), f.Path()+".real"); err != nil {
				return err
			}
			return os.Mkdir(f.Path(), 0o700)
		}, func() error {
			if err := os.Remove(f.Path()); err != nil {
				return err
			}
			return os.Rename(f.Path()+".real", f.Path())
		}, ""},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		fresh := token.NewFile(f.Path())
		_, err := fresh.Check(secret, now)
		wantKind(t, what, err, nebula.ErrUnavailable)
		if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), c.hint) || !strings.Contains(cause.Error(), f.Path()) {
			t.Errorf("%s: the error does not say what to do: %v", what, cause)
		}
		if err != nil && strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error for the client shows a path: %v", what, err)
		}
		_, err = fresh.Add(t.Context(), grant("other"))
		wantKind(t, what+", adding", err, nebula.ErrInvalidConfig)
		if err := c.back(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Check(secret, now); err != nil {
			t.Errorf("%s: after it was mended: %v", what, err)
		}
	}
	if info, err := os.Stat(f.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v", info.Mode(), err)
	}
}
