package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

type lockFile struct{ f *os.File }

func openLock(d *Dir, name string) (*lockFile, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.createOwned(name)
		if errors.Is(err, fs.ErrExist) { // another process came first
			f, err = d.root.OpenFile(name, os.O_RDWR, 0)
		}
	}
	if err != nil {
		return nil, d.locate("open", name, err)
	}
	return &lockFile{f}, nil
}

func (f *lockFile) try() error { return tryLock(f.f) }

func (f *lockFile) unlock() {
	_ = windows.UnlockFileEx(windows.Handle(f.f.Fd()), 0, 1, 0, new(windows.Overlapped))
}

func (f *lockFile) close() { _ = f.f.Close() }

func (f *lockFile) isUnder(d *Dir, name string) bool {
	stat, err := d.Lstat(name)
	if err != nil {
		return false
	}
	own, err := statFile(f.f)
	return err == nil && own.ID == stat.ID
}

// tryLock takes the exclusive lock of an open file's first byte, or returns
// errLocked or ErrNoLocks.
func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return errLocked
	case errors.Is(err, windows.ERROR_NOT_SUPPORTED), errors.Is(err, windows.ERROR_INVALID_FUNCTION):
		return ErrNoLocks
	}
	return err
}

// ProbeLock finds out, without leaving anything, whether files in the directory
// can be locked, from the first of names that is there. If none is there,
// nothing is known.
func (d *Dir) ProbeLock(names ...string) (known bool, err error) {
	for _, name := range names {
		f, err := d.root.OpenFile(name, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return true, d.locate("open", name, err)
		}
		defer f.Close()
		if err := tryLock(f); err != nil && err != errLocked {
			return true, d.locate(opLock, name, err)
		}
		return true, nil
	}
	return false, nil
}
