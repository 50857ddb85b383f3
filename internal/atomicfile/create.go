package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create makes a new file with mode 0600 that holds data, and missing
// directories above it with mode 0700. It returns when everything is on the
// disk. Nobody ever sees part of the file, not even after a crash. If the name
// exists, the error is os.ErrExist.
func Create(path string, data []byte) error {
	parent, name := filepath.Split(filepath.Clean(path))
	parent = filepath.Clean(parent) // "" is "."
	if err := MakeDirs(parent); err != nil {
		return err
	}
	d, err := Open(parent)
	if err != nil {
		return err
	}
	defer d.Close()
	// Early, so that nothing is written in vain.
	if _, err := d.Lstat(name); err == nil {
		return &os.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	staged, err := d.Stage(data)
	if err != nil {
		return err
	}
	if err := staged.CommitNew(name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &os.PathError{Op: "create", Path: path, Err: fs.ErrExist}
		}
		return err
	}
	if err := d.Flush(); err != nil {
		// It may not last, so it must not be relied on.
		_ = d.Remove(name)
		return err
	}
	return nil
}
