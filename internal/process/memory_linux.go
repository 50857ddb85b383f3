package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// MemoryDir returns a directory whose files are in memory and, except for swap, on
// no disk: the user's runtime directory, or /dev/shm. It returns "" if there is
// none.
func MemoryDir(getenv func(string) string) string {
	for _, dir := range []string{getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if dir == "" || !InMemory(dir) || unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
			continue
		}
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

// InMemory reports whether the files of a directory are in memory and, except for
// swap, on no disk.
func InMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC)
}
