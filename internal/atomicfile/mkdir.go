package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeDirs makes the directory at path and those above it that are missing,
// each of mode 0700 and on the disk. On Windows they have from the beginning
// an access list of the user and the system only. Directories that exist are
// not changed. A file system that sets no modes gives its own.
func MakeDirs(path string) error {
	path = filepath.Clean(path)
	err := makeDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := MakeDirs(filepath.Dir(path)); err != nil {
			return err
		}
		err = makeDir(path)
	}
	if err != nil {
		if info, failed := os.Stat(path); failed == nil && info.IsDir() {
			return nil // another process may have come first
		}
		return err
	}
	parent, err := Open(filepath.Dir(path))
	if err != nil {
		// A parent that we may pass and not read, as /home is on some machines,
		// cannot be flushed by us.
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return err
	}
	defer parent.Close()
	return parent.Flush()
}
