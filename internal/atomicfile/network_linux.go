package atomicfile

import "golang.org/x/sys/unix"

// NetworkFileSystem names the file system of the directory if it is one on
// which locks may not hold between machines, else "".
func (d *Dir) NetworkFileSystem() string {
	var st unix.Statfs_t
	if unix.Fstatfs(d.fd, &st) != nil {
		return ""
	}
	// The type is a signed number on some machines.
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.CIFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.FUSE_SUPER_MAGIC:
		return "FUSE"
	case unix.V9FS_MAGIC:
		return "9P"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	}
	return ""
}
