package config

import (
	"errors"
	"io/fs"
	"os"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// writableByOthers says who else can write an open file and how to change that.
// It returns nil if nobody else can.
func writableByOthers(path string, f *os.File) (problem, fix string, err error) {
	problem, err = atomicfile.WritableFile(f)
	if problem != "" {
		fix = unwritable(path, f)
	}
	return problem, fix, err
}

// wideError is the failure of a file with a secret that others can read.
type wideError struct{ problem, fix string }

func (e *wideError) Error() string { return e.problem }

// openSecret opens a file that holds a secret. Only the owner may have access to
// a regular file, and with group its group too. For a pipe, its maker is
// responsible.
func openSecret(path string, group bool) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = checkWide(path, f, group)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func checkWide(path string, f *os.File, group bool) error {
	problem, err := atomicfile.TooWideFile(f, group)
	if err != nil || problem == "" {
		return err
	}
	wide := &wideError{problem: problem, fix: atomicfile.Restrict(path)}
	if forGroup, err := atomicfile.TooWideFile(f, true); err == nil && forGroup == "" {
		wide.fix += "; where it is mounted for its group: allow_group_read = true in [key], or NEBULA_KEY_ALLOW_GROUP_READ=true"
	}
	return wide
}

// FileKind returns the kind of a failure to read or make a file. Missing
// permissions or space are not a wrong configuration.
func FileKind(err error) nebula.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission), atomicfile.IsReadOnly(err):
		return nebula.ErrPermissionDenied
	case atomicfile.IsFull(err), atomicfile.IsTransient(err):
		return nebula.ErrUnavailable
	}
	return nebula.ErrInvalidConfig
}
