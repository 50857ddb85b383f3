// Package secretfile reads files that hold secrets.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Read returns what a regular file holds, at most max bytes, if no one but its
// owner may read or write it; with group, the members of its group may read it.
// What names the file in messages, which show nothing of it.
func Read(what, path string, group bool, max int64) ([]byte, error) {
	text, err := read(path, group, max)
	if err == nil {
		return text, nil
	}
	e := &nebula.Error{Kind: Kind(err), Message: what + " " + path + ": " + atomicfile.Reason(err), Err: err}
	if wide := new(atomicfile.WideError); errors.As(err, &wide) {
		e.Hint = wide.Fix
	}
	return nil, e
}

func read(path string, group bool, max int64) ([]byte, error) {
	f, err := atomicfile.OpenPrivate(path, group)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(text)) > max {
		clear(text)
		err = fmt.Errorf("more than %d bytes", max)
	}
	return text, err
}

// Kind tells of what kind it is that a file cannot be read or made: what
// permissions or space have to do with it is not the fault of who named it.
func Kind(err error) nebula.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission), atomicfile.IsReadOnly(err):
		return nebula.ErrPermissionDenied
	case atomicfile.IsFull(err), atomicfile.IsTransient(err):
		return nebula.ErrUnavailable
	}
	return nebula.ErrInvalidConfig
}
