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
	if err := flushDir(filepath.Dir(path)); err != nil {
		// It may not last, and the next attempt must not take it for one that does.
		_ = os.Remove(path)
		return err
	}
	return nil
}

// flushDir flushes a directory, unless we may pass and not read it, as /home is on
// some machines.
func flushDir(path string) error {
	d, err := Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Flush()
}
