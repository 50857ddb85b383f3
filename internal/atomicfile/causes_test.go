package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"testing"
)

func TestReason(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "/secret/place", Err: fs.ErrPermission}, "permission denied"},
		{fmt.Errorf("wrapped: %w", &fs.PathError{Op: "open", Path: "/secret/place", Err: fs.ErrNotExist}), "file does not exist"},
		{&os.LinkError{Op: "rename", Old: "/secret/a", New: "/secret/b", Err: fs.ErrExist}, "file already exists"},
		{fs.ErrClosed, "file already closed"},
	} {
		if got := Reason(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
