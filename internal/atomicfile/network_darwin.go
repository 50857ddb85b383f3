package atomicfile

import "golang.org/x/sys/unix"

// NetworkFileSystem names the file system of the directory if it is one on
// which locks may not hold between machines, else "".
func (d *Dir) NetworkFileSystem() string {
	var st unix.Statfs_t
	if unix.Fstatfs(d.fd, &st) != nil || st.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(st.Fstypename[:])
}
