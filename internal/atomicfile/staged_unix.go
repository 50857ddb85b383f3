//go:build unix

package atomicfile

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type stagedFile struct{ fd int }

// create makes the file and locks it. A sweeper may come between the two.
func (s *Staged) create() error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(s.dir.fd, s.name, flags, 0o600) })
	if err != nil {
		return &os.PathError{Op: "create", Path: s.path(), Err: err}
	}
	s.file.fd = fd
	if err := s.claim(); err != nil {
		_ = s.dir.Remove(s.name) // nobody else makes one of that name
		s.file.close()
		return err
	}
	return nil
}

func (s *Staged) claim() error {
	// Without locks there is no sweeping either: an error other than "locked"
	// means that the file system has none, and anyone who needs them finds out
	// when taking the Lock.
	if err := tryLock(s.file.fd); err == errLocked {
		return errSwept
	}
	var st unix.Stat_t
	if err := fstat(s.file.fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: s.path(), Err: err}
	}
	if st.Nlink == 0 {
		return errSwept
	}
	if st.Mode&0o7777 == 0o600 {
		return nil
	}
	// The umask may have taken away even the owner's access.
	err := unix.Fchmod(s.file.fd, 0o600)
	if err == nil || s.anyMode && setsNoModes(err) && st.Mode&unix.S_IRUSR != 0 {
		return nil
	}
	return &os.PathError{Op: "chmod", Path: s.path(), Err: err}
}

func (f stagedFile) write(data []byte) (int, error) {
	return retry(func() (int, error) { return unix.Write(f.fd, data) })
}

func (f stagedFile) reset() error {
	if _, err := unix.Seek(f.fd, 0, io.SeekStart); err != nil {
		return err
	}
	_, err := retry(func() (int, error) { return 0, unix.Ftruncate(f.fd, 0) })
	return err
}

func (f stagedFile) flush() error { return flushDescriptor(f.fd) }

func (f stagedFile) close() { _ = unix.Close(f.fd) }

func (s *Staged) rename(name string) error {
	fd := s.dir.fd
	_, err := retry(func() (int, error) { return 0, unix.Renameat(fd, s.name, fd, name) })
	return s.linkError(name, err)
}

// renameNew prefers the single step that leaves nothing behind, whenever the
// process dies. Without it, there are two names for a moment.
func (s *Staged) renameNew(name string) error {
	fd := s.dir.fd
	err := renameNoReplace(fd, s.name, name)
	switch err {
	case nil, unix.EEXIST, unix.ENOENT, unix.ENOSPC, unix.EDQUOT, unix.EACCES, unix.EIO, unix.EROFS:
		return s.linkError(name, err)
	}
	if err = unix.Linkat(fd, s.name, fd, name, 0); err == nil {
		_ = s.dir.Remove(s.name) // it is made; if the other name stays, it is swept later
		return nil
	}
	if err == unix.EEXIST {
		return s.linkError(name, err)
	}
	return s.renameReserved(name)
}

// reservedSuffix ends the name of the empty file with which the last resort
// keeps others away.
const reservedSuffix = ".reserved"

// renameReserved is the last resort, on file systems that have neither call.
// Only the process that makes the reservation checks whether the name is free,
// and takes it. Nobody sees the name before the file is whole.
//
// A reservation is never taken over: its owner may only be slow, and would then
// replace the file that was made meanwhile. If a killed process left one,
// somebody must remove it by hand, as the error says.
func (s *Staged) renameReserved(name string) error {
	reservation := name + reservedSuffix
	const tries, pause = 100, 10 * time.Millisecond
	var err error
	for range tries {
		var fd int
		fd, err = unix.Openat(s.dir.fd, reservation, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			_ = unix.Close(fd)
			err = s.renameIfFree(name)
			_ = s.dir.Remove(reservation) // if it stays and the name is taken, it is in nobody's way
			return err
		}
		if err != unix.EEXIST && err != unix.EINTR {
			return s.linkError(name, err)
		}
		if _, failed := s.dir.Lstat(name); failed == nil {
			return s.linkError(name, unix.EEXIST)
		}
		time.Sleep(pause)
	}
	return &os.PathError{Op: "create", Path: s.dir.join(name), Err: &ReservedError{Path: s.dir.join(reservation)}}
}

func (s *Staged) renameIfFree(name string) error {
	_, err := s.dir.Lstat(name)
	switch {
	case err == nil:
		return s.linkError(name, unix.EEXIST)
	case errors.Is(err, unix.ENOENT):
		return s.rename(name)
	}
	return err
}

func (s *Staged) linkError(name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: "rename", Old: s.path(), New: s.dir.join(name), Err: err}
}

// Sweep removes the temporary file of that name unless its writer lives. It
// reports whether it did.
func (d *Dir) Sweep(name string) bool {
	fd, ok := d.lockStale(name)
	if !ok {
		return false
	}
	defer unix.Close(fd)
	// If it became a record between opening and locking, the name is gone.
	return d.Remove(name) == nil
}

// IsStale reports whether Sweep would remove name.
func (d *Dir) IsStale(name string) bool {
	fd, ok := d.lockStale(name)
	if ok {
		_ = unix.Close(fd) // nothing was written
	}
	return ok
}

// lockStale opens and locks the temporary file of that name, if it has no
// writer. It is opened for writing because NFS locks no other files
// exclusively.
func (d *Dir) lockStale(name string) (fd int, ok bool) {
	if !IsTemp(name) {
		return 0, false
	}
	fd, err := unix.Openat(d.fd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	var st unix.Stat_t
	err = fstat(fd, &st)
	stat := newStat(&st)
	if err != nil || !stat.Mode.IsRegular() ||
		isSpared(name, stat.Size, time.Unix(0, stat.Mtime), time.Now()) || tryLock(fd) != nil {
		_ = unix.Close(fd)
		return 0, false
	}
	return fd, true
}

// isSpared reports whether a file that is not locked may still get a writer.
func isSpared(name string, size int64, modified, now time.Time) bool {
	return strings.HasSuffix(name, sparedSuffix) && size == 0 && now.Sub(modified) < sparedFor
}
