//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsFull reports whether the file system, or the user's share of it, is full.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// IsReadOnly reports whether the file system is read-only.
func IsReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

// IsGone reports whether a file, or its directory, is no longer there. NFS has
// an error of its own for files that another machine removed.
func IsGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) }

// setsNoModes reports whether a failed chmod of an own, new file means that its
// file system cannot set modes.
func setsNoModes(err error) bool {
	for _, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, unix.ENOTSUP, unix.ENOSYS, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// IsTransient reports whether the device failed, or a limit of this machine
// was met: the same call may work later.
func IsTransient(err error) bool {
	for _, errno := range []syscall.Errno{unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN,
		unix.ESTALE, unix.EBUSY, unix.ETIMEDOUT, unix.EHOSTDOWN, unix.ENOTCONN} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, errSwept)
}
