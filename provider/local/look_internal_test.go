package local

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// TestLook: if readers may miss a file while it is replaced, a file that is not found
// is looked up again; otherwise it is not.
func TestLook(t *testing.T) {
	gone := &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}
	for _, test := range []struct {
		remote  bool
		missing int // lookups that find nothing, before one that does
		found   bool
		lookups int
	}{
		{false, 0, true, 1}, {false, 1, false, 1}, {true, 0, true, 1}, {true, 2, true, 3}, {true, 100, false, 4},
	} {
		d, f := newInside(t)
		f.base.remote = test.remote
		lookups := 0
		err := d.look(func(*base) error {
			if lookups++; lookups <= test.missing {
				return gone
			}
			return nil
		})
		if errors.Is(err, os.ErrNotExist) == test.found || lookups != test.lookups {
			t.Errorf("%+v: %d lookups, %v", test, lookups, err)
		}
	}
}

// TestLookWhereNothingCanBe: what is gone with its directory is not there. If the
// directory is no longer safe to use, that is said.
func TestLookWhereNothingCanBe(t *testing.T) {
	for _, test := range []struct {
		what string
		do   func(path string) error
		want nebula.Kind
	}{
		{"gone", os.Remove, nebula.ErrNotFound},
		{"a file", func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600))
		}, nebula.ErrInvalidConfig},
	} {
		d, f := newInside(t)
		if err := test.do(f.base.Path()); err != nil {
			t.Fatal(err)
		}
		for _, checked := range []time.Duration{time.Hour, 0} { // a moment ago, and long ago
			d.bases.current.Store(f.base)
			d.bases.checked.Store(int64(checked))
			if _, err := f.Retrieve(t.Context(), f.name("id")); nebula.KindOf(err) != test.want {
				t.Errorf("%s: retrieve: %v", test.what, err)
			}
			if found, err := f.Exists(t.Context(), f.name("id")); found || err != nil && nebula.KindOf(err) != test.want {
				t.Errorf("%s: exists: %v, %v", test.what, found, err)
			}
		}
	}
}

// TestIsGone: NFS has its own error for a file that another machine removed.
func TestIsGone(t *testing.T) {
	if !atomicfile.IsGone(fs.ErrNotExist) || atomicfile.IsGone(nil) || atomicfile.IsGone(fs.ErrPermission) {
		t.Error("IsGone does not recognise the error")
	}
}
