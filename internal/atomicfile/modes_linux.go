package atomicfile

import "golang.org/x/sys/unix"

// FixedModes names the file system at path if its modes are set by its mount and
// not by chmod, or returns "". With FUSE it depends on the program behind it.
func FixedModes(path string) string {
	const (
		exfat = 0x2011bab0
		ntfs  = 0x5346544e
		ntfs3 = 0x7366746e
	)
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return ""
	}
	// The type is a signed number on some machines.
	switch uint32(st.Type) {
	case unix.MSDOS_SUPER_MAGIC:
		return "FAT"
	case exfat:
		return "exFAT"
	case ntfs, ntfs3:
		return "NTFS"
	case unix.CIFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.FUSE_SUPER_MAGIC:
		return "FUSE"
	}
	return ""
}
