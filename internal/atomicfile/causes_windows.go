package atomicfile

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// IsFull reports whether the file system, or the user's share of it, is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// IsReadOnly reports whether the file system is read-only.
func IsReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// IsGone reports whether a file, or its directory, is no longer there.
func IsGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// IsTransient reports whether the device failed, or a limit of this machine
// was met: the same call may work later.
func IsTransient(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_IO_DEVICE) ||
		errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) || errors.Is(err, windows.ERROR_NETNAME_DELETED) ||
		errors.Is(err, errSwept)
}

// isBusy reports the errors for a file that somebody has open, or that is being
// deleted or replaced. A missing right gives the same errors.
func isBusy(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
