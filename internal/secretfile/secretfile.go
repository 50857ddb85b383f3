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

// Read returns the content of a regular file, at most max bytes. Only the owner
// may have access to it, and with group its group may read it. Errors begin with
// what and the path, and show nothing of the content.
func Read(what, path string, group bool, max int64) ([]byte, error) {
	text, err := read(path, group, max)
	if err == nil {
		return text, nil
	}
	reason, fix := atomicfile.Explain(path, err)
	return nil, &nebula.Error{Kind: Kind(err), Message: what + " " + path + ": " + reason, Hint: fix, Err: err}
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

// Kind returns the kind of a failure to read or make a file. Missing permissions
// or space are not a wrong configuration.
func Kind(err error) nebula.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission), atomicfile.IsReadOnly(err):
		return nebula.ErrPermissionDenied
	case atomicfile.IsFull(err), atomicfile.IsTransient(err):
		return nebula.ErrUnavailable
	}
	return nebula.ErrInvalidConfig
}
