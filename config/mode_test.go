package config

import (
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/nebula-credential/nebula"
)

// A refusal by the system has another kind than a wrong name.
func TestFileKind(t *testing.T) {
	for cause, want := range map[error]nebula.Kind{
		fs.ErrPermission: nebula.ErrPermissionDenied,
		fs.ErrNotExist:   nebula.ErrInvalidConfig,
		errNoSpace:       nebula.ErrUnavailable,
		errReadOnly:      nebula.ErrPermissionDenied,
	} {
		err := fmt.Errorf("around: %w", &os.PathError{Op: "open", Path: "/x", Err: cause})
		if got := FileKind(err); got != want {
			t.Errorf("%v: %v, want %v", cause, got, want)
		}
	}
}
