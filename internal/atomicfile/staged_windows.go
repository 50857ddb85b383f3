package atomicfile

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

type stagedFile struct{ f *os.File }

func (s *Staged) create() error {
	f, err := s.dir.root.OpenFile(s.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.file.f = f
	if tryLock(f) == errLocked {
		s.file.close()
		return errSwept
	}
	return nil
}

func (f stagedFile) write(data []byte) (int, error) { return f.f.Write(data) }

func (f stagedFile) flush() error { return f.f.Sync() }

func (f stagedFile) close() {
	if f.f != nil {
		_ = f.f.Close()
	}
}

func (s *Staged) rename(name string) error {
	return s.move(name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
}

func (s *Staged) renameNew(name string) error {
	return s.move(name, windows.MOVEFILE_WRITE_THROUGH)
}

// move renames the file, which must be closed for that. A reader or a virus
// scanner that has the target open for a moment stands in the way: it is
// waited for.
func (s *Staged) move(name string, flags uint32) error {
	const attempts = 20
	s.file.close()
	s.file.f = nil
	from, err := windows.UTF16PtrFromString(s.path())
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(s.dir.join(name))
	if err != nil {
		return err
	}
	for i := range attempts {
		err = windows.MoveFileEx(from, to, flags)
		if !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			break
		}
		time.Sleep(time.Duration(i) * time.Millisecond)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: s.path(), New: s.dir.join(name), Err: err}
	}
	return nil
}

// Sweep removes the temporary file under name, unless its writer lives. It
// reports whether it did.
func (d *Dir) Sweep(name string) bool {
	return d.IsStale(name) && d.root.Remove(name) == nil
}

// IsStale reports whether Sweep would remove name. A file closed just before
// its rename is not locked any more, so only those count that are old.
func (d *Dir) IsStale(name string) bool {
	const age = time.Minute
	info, err := d.root.Lstat(name)
	if err != nil || !IsTemp(name) || !info.Mode().IsRegular() || time.Since(info.ModTime()) < age {
		return false
	}
	f, err := d.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return tryLock(f) == nil
}
