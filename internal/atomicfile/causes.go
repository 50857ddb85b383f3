package atomicfile

import (
	"errors"
	"io/fs"
	"os"
)

// Reason returns the message of a failed system call without the path, for
// messages that name the path themselves.
func Reason(err error) string {
	var onPath *fs.PathError
	var onLink *os.LinkError
	switch {
	case errors.As(err, &onPath):
		return onPath.Err.Error()
	case errors.As(err, &onLink):
		return onLink.Err.Error()
	}
	return err.Error()
}
