package atomicfile

import (
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

type stagedFile struct{ f *os.File }

func (s *Staged) create() error {
	f, err := s.dir.createOwned(s.name)
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

// createOwned makes a file that is ours alone before it holds anything. It can
// be deleted and renamed while it is open.
func (d *Dir) createOwned(name string) (*os.File, error) {
	const (
		access = windows.GENERIC_READ | windows.GENERIC_WRITE
		share  = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
		flags  = windows.FILE_ATTRIBUTE_NORMAL | windows.FILE_FLAG_OPEN_REPARSE_POINT
	)
	path := d.join(name)
	attributes, err := ownerOnly(false)
	if err == nil {
		var text *uint16
		if text, err = windows.UTF16PtrFromString(path); err == nil {
			var h windows.Handle
			h, err = windows.CreateFile(text, access, share, attributes, windows.CREATE_NEW, flags, 0)
			if err == nil {
				return os.NewFile(uintptr(h), path), nil
			}
		}
	}
	return nil, &os.PathError{Op: "create", Path: path, Err: err}
}

func (f stagedFile) write(data []byte) (int, error) { return f.f.Write(data) }

func (f stagedFile) reset() error {
	if _, err := f.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return f.f.Truncate(0)
}

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

// move closes the file and renames it. An open target cannot be replaced,
// however it was opened. So our own readers are kept out, and move waits for
// readers of other processes, such as a virus scanner.
func (s *Staged) move(name string, flags uint32) error {
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
	err = persist(time.Second, func() error {
		s.dir.readers.Lock()
		defer s.dir.readers.Unlock()
		return windows.MoveFileEx(from, to, flags)
	})
	if err == windows.ERROR_ACCESS_DENIED && isOpen(to) {
		err = windows.ERROR_SHARING_VIOLATION
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: s.path(), New: s.dir.join(name), Err: err}
	}
	return nil
}

// isOpen reports whether somebody has the file open. To MoveFileEx that is the
// same as a missing right.
func isOpen(path *uint16) bool {
	h, err := windows.CreateFile(path, windows.DELETE, 0, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err == nil {
		_ = windows.CloseHandle(h)
	}
	return err == windows.ERROR_SHARING_VIOLATION
}

// persist repeats a call that is refused because somebody has the file open for
// a moment, or is replacing it. The pauses are short and random, to find the
// gap between readers that never rest.
func persist(limit time.Duration, call func() error) error {
	const maxPause = 2 * time.Millisecond
	for end := time.Now().Add(limit); ; {
		err := call()
		if !isBusy(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(rand.N(maxPause))
	}
}

// Sweep removes the temporary file under name, unless its writer lives. It
// reports whether it did.
func (d *Dir) Sweep(name string) bool {
	return d.IsStale(name) && d.root.Remove(name) == nil
}

// IsStale reports whether Sweep would remove name. A file that is closed for
// its rename is no longer locked, so only old files count.
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
