//go:build unix

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

type stagedFile struct{ fd int }

// create makes the file and locks it. A sweeper may have come between the two.
func (s *Staged) create() error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(s.dir.fd, s.name, flags, 0o600) })
	if err != nil {
		return &os.PathError{Op: "create", Path: s.path(), Err: err}
	}
	s.file.fd = fd
	if err := s.claim(); err != nil {
		if err != errSwept {
			_ = s.dir.Remove(s.name)
		}
		s.file.close()
		return err
	}
	return nil
}

func (s *Staged) claim() error {
	// Without locks there is no sweeping either: another error than "locked"
	// means that the file system has none, and who needs them finds out
	// when taking the Lock.
	if err := tryLock(s.file.fd); err == errLocked {
		return errSwept
	}
	var st unix.Stat_t
	if err := unix.Fstat(s.file.fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: s.path(), Err: err}
	}
	if st.Nlink == 0 {
		return errSwept
	}
	if st.Mode&0o7777 == 0o600 {
		return nil
	}
	// The umask may have taken away even the owner's access.
	if err := unix.Fchmod(s.file.fd, 0o600); err != nil {
		return &os.PathError{Op: "chmod", Path: s.path(), Err: err}
	}
	return nil
}

func (f stagedFile) write(data []byte) (int, error) {
	return retry(func() (int, error) { return unix.Write(f.fd, data) })
}

func (f stagedFile) flush() error { return flushDescriptor(f.fd) }

func (f stagedFile) close() { _ = unix.Close(f.fd) }

func (s *Staged) rename(name string) error {
	fd := s.dir.fd
	_, err := retry(func() (int, error) { return 0, unix.Renameat(fd, s.name, fd, name) })
	return s.linkError(name, err)
}

// renameNew prefers the one step that leaves nothing behind, whenever the
// process dies. Where there is none, two names stand for a moment.
func (s *Staged) renameNew(name string) error {
	fd := s.dir.fd
	err := renameNoReplace(fd, s.name, name)
	switch err {
	case nil, unix.EEXIST, unix.ENOENT, unix.ENOSPC, unix.EDQUOT, unix.EACCES, unix.EIO, unix.EROFS:
		return s.linkError(name, err)
	}
	if err = unix.Linkat(fd, s.name, fd, name, 0); err == nil {
		return s.dir.Remove(s.name)
	}
	if err == unix.EEXIST {
		return s.linkError(name, err)
	}
	return s.reserve(name)
}

// reserve is the last resort, on file systems with neither call: an empty file
// keeps others away until it is replaced.
func (s *Staged) reserve(name string) error {
	fd, err := unix.Openat(s.dir.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return s.linkError(name, err)
	}
	_ = unix.Close(fd)
	if err := s.rename(name); err != nil {
		_ = s.dir.Remove(name)
		return err
	}
	return nil
}

func (s *Staged) linkError(name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: "rename", Old: s.path(), New: s.dir.join(name), Err: err}
}

// Sweep removes the temporary file under name, unless its writer lives. It
// reports whether it did.
func (d *Dir) Sweep(name string) bool {
	if !IsTemp(name) {
		return false
	}
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || tryLock(fd) != nil {
		return false
	}
	// It may have become a record between opening and locking.
	now, err := d.Lstat(name)
	if err != nil || now.ID != (FileID{uint64(st.Dev), uint64(st.Ino)}) {
		return false
	}
	return d.Remove(name) == nil
}

// IsStale reports whether Sweep would remove name.
func (d *Dir) IsStale(name string) bool {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return IsTemp(name) && tryLock(fd) == nil
}
