package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// writeFile makes a file with mode 0600, or replaces one. fill writes its content.
// The path leads to the old file or to the whole new one, also after a crash. If
// fill fails, nothing is left.
func writeFile(path string, fill func(atomicfile.Filling) error) error {
	path = atomicfile.Resolve(path)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return outFileError(path, &atomicfile.NotRegularError{Mode: info.Mode()})
	}
	folder, name := filepath.Split(path)
	dir, err := atomicfile.Open(filepath.Clean(folder + "."))
	if err != nil {
		return outFileError(path, err)
	}
	defer dir.Close()
	sweepLeft(dir)
	staged, err := dir.StageFunc(fill)
	if err == nil {
		err = staged.Commit(name)
	}
	if err == nil {
		err = dir.Flush()
	}
	return outFileError(path, err)
}

// sweepLeft removes temporary files that killed processes left behind. If it
// cannot, that is not an error.
func sweepLeft(dir *atomicfile.Dir) {
	names, err := dir.Names()
	if err != nil {
		return
	}
	defer names.Close()
	var left []string
	for err == nil {
		err = names.Next(func(name []byte, _ os.FileMode) {
			if atomicfile.IsTemp(string(name)) {
				left = append(left, string(name))
			}
		})
	}
	for _, name := range left {
		dir.Sweep(name)
	}
}

// outFileError says why a file could not be written. Other failures stay as they
// are.
func outFileError(path string, err error) error {
	if err == nil || nebula.KindOf(err) != nebula.ErrInternal {
		return err
	}
	kind := config.FileKind(err)
	if kind == nebula.ErrInvalidConfig {
		kind = nebula.ErrUsage
	}
	return &nebula.Error{Kind: kind, Message: "--out " + path + ": " + atomicfile.Reason(err), Err: err}
}

// spool is a file of mode 0600 that is gone when it is closed, and holds nothing in
// clear.
type spool struct{ *os.File }

func newSpool() (spool, error) {
	f, err := os.CreateTemp("", "nebula-sealed-*")
	if err != nil {
		return spool{}, spoolError(err)
	}
	// Remove its name at once, if that is possible, so that nothing is left of it
	// even if the process is killed.
	_ = os.Remove(f.Name())
	return spool{f}, nil
}

// Reset drops what was written.
func (s spool) Reset() error {
	_, err := s.Seek(0, io.SeekStart)
	return errors.Join(err, s.Truncate(0))
}

// Close removes the file.
func (s spool) Close() error {
	err := s.File.Close()
	if removed := os.Remove(s.Name()); removed != nil && !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

// spoolError says why a temporary file could not be used. Other failures stay as
// they are.
func spoolError(err error) error {
	if err == nil || nebula.KindOf(err) != nebula.ErrInternal {
		return err
	}
	return &nebula.Error{Kind: config.FileKind(err), Message: "a temporary file cannot be written: " + atomicfile.Reason(err), Err: err,
		Hint: "TMPDIR names the directory for it"}
}
