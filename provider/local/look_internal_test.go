package local

import (
	"errors"
	"io/fs"
	"os"
	"testing"

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

// TestIsGone: NFS has its own error for a file that another machine removed.
func TestIsGone(t *testing.T) {
	if !atomicfile.IsGone(fs.ErrNotExist) || atomicfile.IsGone(nil) || atomicfile.IsGone(fs.ErrPermission) {
		t.Error("IsGone does not recognise the error")
	}
}
