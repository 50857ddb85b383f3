//go:build unix

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

type lockFile struct {
	fd int
	id FileID
}

func openLock(d *Dir, name string) (*lockFile, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(d.fd, name, flags, 0o600) })
	if err != nil {
		return nil, d.whyNotOpened(name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = &NotRegularError{fileMode(uint32(st.Mode))}
	}
	if err == nil && st.Mode&0o777 != 0o600 && int(st.Uid) == os.Geteuid() {
		err = unix.Fchmod(fd, 0o600)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	return &lockFile{fd: fd, id: FileID{uint64(st.Dev), uint64(st.Ino)}}, nil
}

func (f *lockFile) try() error { return tryLock(f.fd) }

func (f *lockFile) unlock() { _ = unix.Flock(f.fd, unix.LOCK_UN) }

func (f *lockFile) close() { _ = unix.Close(f.fd) }

func (f *lockFile) isUnder(d *Dir, name string) bool {
	stat, err := d.Lstat(name)
	return err == nil && stat.ID == f.id
}

// tryLock takes the exclusive lock of an open file, or returns errLocked or
// ErrNoLocks.
func tryLock(fd int) error {
	_, err := retry(func() (int, error) { return 0, unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	switch err {
	case nil:
		return nil
	case unix.EWOULDBLOCK:
		return errLocked
	case unix.ENOLCK, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL:
		return ErrNoLocks
	}
	return os.NewSyscallError("flock", err)
}

// ProbeLock finds out, without leaving anything, whether files in the
// directory can be locked. That somebody holds the lock is good news too.
func (d *Dir) ProbeLock(name string) error {
	const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(d.fd, name, flags, 0)
	if err == unix.ENOENT {
		// The directory itself can be locked where files can.
		fd, err = unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return d.whyNotOpened(name, err)
	}
	defer unix.Close(fd)
	if err := tryLock(fd); err != nil && err != errLocked {
		return err
	}
	return nil
}
