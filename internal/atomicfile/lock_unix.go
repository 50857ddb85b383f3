//go:build unix

package atomicfile

import (
	"errors"
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
	err = fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = &NotRegularError{fileMode(uint32(st.Mode))}
	}
	if err == nil && st.Mode&0o777 != 0o600 && int(st.Uid) == os.Geteuid() {
		// The file is empty, so any mode will do if none can be set.
		if err = unix.Fchmod(fd, 0o600); setsNoModes(err) {
			err = nil
		}
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

// tryLock takes the exclusive lock of a file that is open for writing, which
// NFS requires, or returns errLocked or ErrNoLocks.
func tryLock(fd int) error { return tryFlock(fd, unix.LOCK_EX) }

func tryFlock(fd, how int) error {
	_, err := retry(func() (int, error) { return 0, unix.Flock(fd, how|unix.LOCK_NB) })
	switch err {
	case unix.EWOULDBLOCK:
		return errLocked
	case unix.ENOLCK, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL:
		return ErrNoLocks
	}
	return err
}

// ProbeLock finds out whether files in the directory can be locked, and leaves
// nothing behind. It tries the first of names that exists. If somebody else
// holds its lock, files can be locked, too. If none exists, it tries the
// directory itself, which proves nothing on a network file system: then known
// is false.
func (d *Dir) ProbeLock(names ...string) (known bool, err error) {
	for _, name := range names {
		err := d.probe(name, unix.O_RDWR, unix.LOCK_EX)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
			// Without the right to write, a shared lock answers the question.
			// NFS gives exclusive ones only to writers.
			err = d.probe(name, unix.O_RDONLY, unix.LOCK_SH)
		}
		if !errors.Is(err, unix.ENOENT) {
			return true, err
		}
	}
	return d.NetworkFileSystem() == "", d.probe(".", unix.O_RDONLY, unix.LOCK_SH)
}

func (d *Dir) probe(name string, access, how int) error {
	fd, err := unix.Openat(d.fd, name, access|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return d.whyNotOpened(name, err)
	}
	defer unix.Close(fd)
	if err := tryFlock(fd, how); err != nil && err != errLocked {
		return &os.PathError{Op: opLock, Path: d.join(name), Err: err}
	}
	return nil
}
