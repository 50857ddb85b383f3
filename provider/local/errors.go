package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

const providerName = "local"

// fail says what err, from anywhere below, means for an operation. This file
// is the only one that knows the errors of the operating system.
func (p *Provider) fail(op string, name nebula.Name, err error) error {
	if err == nil {
		return nil
	}
	var e *nebula.Error
	if errors.As(err, &e) {
		located := *e
		located.Op, located.Provider, located.ID = op, providerName, name.ID()
		return &located
	}
	e = p.explain(err)
	e.Op, e.Provider, e.ID, e.Err = op, providerName, name.ID(), err
	return e
}

func (p *Provider) explain(err error) *nebula.Error {
	path := pathOf(err)
	if path == "" {
		path = p.address()
	}
	var notRegular *atomicfile.NotRegularError
	var tooLarge *atomicfile.TooLargeError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &nebula.Error{Kind: nebula.ErrTimeout, Message: "the deadline passed"}
	case errors.Is(err, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrInterrupted, Message: "cancelled"}
	case errors.Is(err, os.ErrClosed):
		return errClosed()
	case errors.As(err, &notRegular):
		return &nebula.Error{Kind: nebula.ErrCorrupted,
			Message: path + " is " + notRegular.Error() + ", which is left alone",
			Hint:    "look where it comes from, and remove it or move it away"}
	case errors.As(err, &tooLarge):
		return errTooLarge(tooLarge.Size)
	case errors.Is(err, atomicfile.ErrNoLocks):
		return &nebula.Error{Kind: nebula.ErrNotSupported, Message: p.address() + ": " + atomicfile.ErrNoLocks.Error(),
			Hint: "use a local file system, or set enable_locking = false where only one process writes"}
	case atomicfile.IsFull(err):
		return &nebula.Error{Kind: nebula.ErrUnavailable,
			Message: path + ": no space left on the device; what was stored before stands",
			Hint:    "make room on the file system of " + p.address()}
	case atomicfile.IsReadOnly(err):
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: path + ": the file system is read-only",
			Hint: "mount it for writing"}
	case errors.Is(err, fs.ErrPermission):
		return errDenied(path, p.address())
	case errors.Is(err, fs.ErrNotExist):
		return errMissing()
	case atomicfile.IsTransient(err):
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: path + ": " + atomicfile.Reason(err)}
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: path + ": " + atomicfile.Reason(err)}
}

// errDenied names the mode that stands in the way: the file's if it is a
// record, else the directory's, or that of a directory above it which does not
// let us look further.
func errDenied(path, base string) *nebula.Error {
	target := base
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && !isOurName(path) {
		target = path
	}
	info, err := os.Lstat(target)
	for above := filepath.Dir(target); err != nil && target != above; above = filepath.Dir(target) {
		target = above
		info, err = os.Lstat(target)
	}
	denied := &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: path + ": permission denied"}
	if err != nil {
		return denied
	}
	if runtime.GOOS != "windows" { // which has no modes
		denied.Message += "; " + target + " has " + describeMode(info.Mode())
	}
	switch owner := ownerOf(target); {
	case owner != "":
		denied.Message += ", and " + owner
		denied.Hint = "run it as that user"
	case target == path:
		denied.Hint = atomicfile.Restrict(path)
	case target == base:
		denied.Hint = atomicfile.RestrictDir(base)
	default:
		denied.Hint = "set base_path to a directory that you may write, or get access to " + target
	}
	return denied
}

// isOurName reports names that are written through the directory, whose mode
// then decides.
func isOurName(path string) bool {
	for i := len(path) - 1; i >= 0; i-- {
		if os.IsPathSeparator(path[i]) {
			return atomicfile.IsTemp(path[i+1:])
		}
	}
	return false
}

func ownerOf(path string) string {
	stat, err := atomicfile.StatPath(path)
	if err != nil {
		return ""
	}
	return stat.ForeignOwner()
}

func describeMode(mode os.FileMode) string { return fmt.Sprintf("mode %04o", mode.Perm()) }

func errMissing() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such credential"}
}

func errClosed() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is closed"}
}

// errNoName refuses the zero Name, which no id gives. It would be a file.
func errNoName() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the name is empty", Hint: "make names with ID.Name or KeyringName"}
}

func errNotConnected() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is not connected", Hint: "call Connect first"}
}

func errTooLarge(size int64) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrTooLarge,
		Message: fmt.Sprintf("the record has %d bytes, %d are the limit of provider %s", size, maxRecord, providerName)}
}

func errNeedsLocks(what string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: what + " needs locks, and enable_locking is false",
		Hint: "set enable_locking = true"}
}

func errTwin(twin string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict,
		Message: "the file " + twin + " differs by case alone, which this file system does not tell apart",
		Hint:    "use another id, or a base_path on a file system where case matters"}
}

func errNotFlushed(err error) error {
	return &nebula.Error{Kind: nebula.ErrUnavailable, Err: err,
		Message: "the change was made but could not be flushed, and may not outlast a power cut: " + atomicfile.Reason(err),
		Hint:    "look at the disk, and do it again"}
}

// pathOf returns the path that a failed call was about. Of a rename it is the
// target: the temporary file means nothing to anybody.
func pathOf(err error) string {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Path
	case errors.As(err, &l):
		return l.New
	}
	return ""
}
