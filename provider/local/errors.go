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
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "local"

// Explain implements [provider.Driver]. This file is the only one that knows
// the errors of the operating system.
func (d *driver) Explain(name nebula.Name, err error) *nebula.Error {
	e := d.explain(name, err)
	e.Err = err
	return e
}

func (d *driver) explain(name nebula.Name, err error) *nebula.Error {
	path := pathOf(err)
	switch {
	case path != "":
	case name == nebula.Name{}:
		path = d.address()
	default:
		path = d.path(d.naming.file(name))
	}
	var notRegular *atomicfile.NotRegularError
	var tooLarge *atomicfile.TooLargeError
	var reserved *atomicfile.ReservedError
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
			Hint:    "find out where it comes from, and remove it or move it away"}
	case errors.As(err, &tooLarge):
		return errTooLarge(tooLarge.Size)
	case atomicfile.IsLockError(err):
		return d.errNotLocked(path, err)
	case atomicfile.IsFull(err):
		return &nebula.Error{Kind: nebula.ErrUnavailable,
			Message: path + ": no space left on the device; the records that were stored before are still there",
			Hint:    "make room on the file system of " + d.address()}
	case atomicfile.IsReadOnly(err):
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: path + ": the file system is read-only",
			Hint: "mount it for writing"}
	case errors.Is(err, fs.ErrPermission):
		return errDenied(err, path, d.address())
	case errors.Is(err, fs.ErrNotExist):
		return provider.NotFound()
	case errors.As(err, &reserved), atomicfile.IsTransient(err):
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: path + ": " + atomicfile.Reason(err)}
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: path + ": " + atomicfile.Reason(err)}
}

// errNotLocked says that the file system is the cause, and not the mode of a
// file.
func (d *driver) errNotLocked(path string, err error) *nebula.Error {
	where := "the file system"
	if b := d.bases.current.Load(); b != nil {
		if network := b.NetworkFileSystem(); network != "" {
			where += " (" + network + ")"
		}
	}
	const without = "if only one process at a time writes, set enable_locking = false: init, put and delete then work, " +
		"conditions and changes of the keyring do not"
	switch {
	case errors.Is(err, atomicfile.ErrNoLocks):
		return &nebula.Error{Kind: nebula.ErrNotSupported, Message: path + ": " + where + " does not lock files",
			Hint: "use a file system that does; or, " + without}
	case errors.Is(err, fs.ErrPermission):
		return &nebula.Error{Kind: nebula.ErrPermissionDenied,
			Message: path + ": " + where + " refuses to lock it: " + atomicfile.Reason(err),
			Hint:    "see whether the mount, the server's export or a security module forbids locks; or, " + without}
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Message: path + ": it could not be locked: " + atomicfile.Reason(err)}
}

// errDenied names the mode that denies access: that of the record's file, of the
// directory, or of a directory above it that we may not pass.
func errDenied(cause error, path, base string) *nebula.Error {
	target := base
	if isFilesMode(cause, path) {
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
	switch owner := atomicfile.OtherOwner(target); {
	case owner != "":
		denied.Message += ", and " + owner
		denied.Hint = "run it as that user"
	case target == base:
		denied.Hint = atomicfile.RestrictDir(base)
	case target == path:
		denied.Hint = atomicfile.Restrict(path)
	default:
		denied.Hint = "set base_path to a directory that you may write, or get access to " + target
	}
	return denied
}

// isFilesMode reports whether the mode of the file at path decided. If a file
// is made, renamed or removed, the directory's mode decides.
func isFilesMode(cause error, path string) bool {
	var onPath *fs.PathError
	if !errors.As(cause, &onPath) || onPath.Op != "open" {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

func describeMode(mode os.FileMode) string { return fmt.Sprintf("mode %04o", mode.Perm()) }

func errClosed() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is closed"}
}

func errTooLarge(size int64) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrTooLarge,
		Message: fmt.Sprintf("the record has %d bytes, %d are the limit of provider %s", size, maxRecord, providerName)}
}

func errNeedsLocks(what string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: what + " needs locks, and enable_locking is false",
		Hint: "set enable_locking = true; on a file system without locks, change a copy of the directory elsewhere and copy it back"}
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

// pathOf returns the path of a failed call. For a rename it returns the target,
// since the temporary file means nothing to anybody.
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
