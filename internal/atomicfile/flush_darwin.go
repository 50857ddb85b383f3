package atomicfile

import "golang.org/x/sys/unix"

// flushDescriptor uses F_FULLFSYNC, as os.File.Sync does: fsync alone stops at
// the drive's cache here.
func flushDescriptor(fd int) error {
	_, err := retry(func() (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_FULLFSYNC, 0) })
	return err
}
