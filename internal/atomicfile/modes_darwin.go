package atomicfile

import "golang.org/x/sys/unix"

// FixedModes names the file system at path if its modes are set by its mount and
// not by chmod, or returns "".
func FixedModes(path string) string {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return ""
	}
	switch name := unix.ByteSliceToString(st.Fstypename[:]); name {
	case "msdos", "exfat", "ntfs", "smbfs":
		return name
	}
	return ""
}
