package atomicfile

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// fileSystem is the file system of a directory, to be flushed as a whole.
type fileSystem struct{ fd int }

// openFileSystem returns false if a flush of the file system would not report
// what could not be written. Before Linux 5.8 it never does. An overlay does not
// pass on the errors of the file system below it, and a server may not report
// them.
//
// The descriptor is a new one, so the flush reports failures since it was
// opened, and not old ones in somebody else's file.
func (d *Dir) openFileSystem() (fileSystem, bool) {
	var st unix.Statfs_t
	if !reportsErrors() || unix.Fstatfs(d.fd, &st) != nil {
		return fileSystem{}, false
	}
	switch uint32(st.Type) { // a signed number on some machines
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		return fileSystem{}, false
	}
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	return fileSystem{fd}, err == nil
}

// flush reports whether everything that was written before is on the disk. A
// failure may be about files of other programs, and the call may be forbidden.
func (f fileSystem) flush() bool {
	_, err := retry(func() (int, error) { return 0, unix.Syncfs(f.fd) })
	return err == nil
}

func (f fileSystem) close() { _ = unix.Close(f.fd) } // nothing was written

// reportsErrors reports whether the kernel's syncfs returns errors of writing
// that happened in the background, as it does since Linux 5.8.
var reportsErrors = sync.OnceValue(func() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	return isSince(unix.ByteSliceToString(name.Release[:]), 5, 8)
})

// isSince reports whether a kernel's release, "6.1.0-13-amd64" for example, is
// that version or a later one.
func isSince(release string, major, minor int) bool {
	var x, y int
	if n, _ := fmt.Sscanf(release, "%d.%d", &x, &y); n != 2 {
		return false
	}
	return x > major || x == major && y >= minor
}
