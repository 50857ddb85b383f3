//go:build unix

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// handle is a directory's descriptor. It is a bare one, because an os.File
// doubles the cost of reading a small file.
type handle struct{ fd int }

// Open opens the directory at path, whose symbolic links are followed.
func Open(path string) (*Dir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{path: path, handle: handle{fd: fd}}, nil
}

// Close gives the descriptor back.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Stat examines the directory itself.
func (d *Dir) Stat() (Stat, error) {
	return statOf(d.path, func(st *unix.Stat_t) error { return fstat(d.fd, st) })
}

// StatPath examines the file at path, following symbolic links.
func StatPath(path string) (Stat, error) {
	return statOf(path, func(st *unix.Stat_t) error { return unix.Stat(path, st) })
}

// LstatPath examines the file at path. It does not follow a link in the last
// place.
func LstatPath(path string) (Stat, error) {
	return statOf(path, func(st *unix.Stat_t) error { return unix.Lstat(path, st) })
}

// Lstat examines the file of that name and does not follow a link.
func (d *Dir) Lstat(name string) (Stat, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			return newStat(&st), nil
		}
		if err != unix.EINTR {
			return Stat{}, &os.PathError{Op: "lstat", Path: d.join(name), Err: err}
		}
	}
}

// Read returns the content of the regular file of that name, of at most limit
// bytes, and its Stat. It takes no lock, since files are only ever replaced.
// Errors: NotRegularError, TooLargeError.
func (d *Dir) Read(name string, limit int64) ([]byte, Stat, error) {
	// O_NONBLOCK: opening a named pipe would wait for its writer.
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(d.fd, name, flags, 0)
	for err == unix.EINTR {
		fd, err = unix.Openat(d.fd, name, flags, 0)
	}
	if err != nil {
		return nil, Stat{}, d.whyNotOpened(name, err)
	}
	data, stat, err := readAll(fd, limit)
	_ = unix.Close(fd) // nothing was written
	if err != nil {
		return nil, stat, &os.PathError{Op: "read", Path: d.join(name), Err: err}
	}
	return data, stat, nil
}

// whyNotOpened turns the error of opening a link or a socket, which differs
// between systems, into a NotRegularError.
func (d *Dir) whyNotOpened(name string, err error) error {
	if err != unix.ENOENT && err != unix.EACCES {
		if stat, failed := d.Lstat(name); failed == nil && !stat.Mode.IsRegular() {
			err = &NotRegularError{stat.Mode}
		}
	}
	return &os.PathError{Op: "open", Path: d.join(name), Err: err}
}

func readAll(fd int, limit int64) ([]byte, Stat, error) {
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return nil, Stat{}, err
	}
	stat := newStat(&st)
	switch {
	case !stat.Mode.IsRegular():
		return nil, stat, &NotRegularError{stat.Mode}
	case stat.Size > limit:
		return nil, stat, &TooLargeError{stat.Size}
	}
	data, err := readSize(func(p []byte) (int, error) { return unix.Read(fd, p) }, stat.Size)
	return data, stat, err
}

// readSize reads a file of that size, or what there is if it has become smaller.
func readSize(read func([]byte) (int, error), size int64) ([]byte, error) {
	data := make([]byte, size)
	for n := 0; n < len(data); {
		m, err := read(data[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == 0 {
			return data[:n], nil
		}
		n += m
	}
	return data, nil
}

// Remove removes the name. The change is durable only after Flush.
func (d *Dir) Remove(name string) error {
	_, err := retry(func() (int, error) { return 0, unix.Unlinkat(d.fd, name, 0) })
	if err != nil {
		return &os.PathError{Op: "remove", Path: d.join(name), Err: err}
	}
	return nil
}

func (d *Dir) flushHandle() error {
	if err := flushDescriptor(d.fd); err != nil {
		return &os.PathError{Op: "fsync", Path: d.path, Err: err}
	}
	return nil
}

func statOf(path string, call func(*unix.Stat_t) error) (Stat, error) {
	var st unix.Stat_t
	if _, err := retry(func() (int, error) { return 0, call(&st) }); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return newStat(&st), nil
}

func newStat(st *unix.Stat_t) Stat {
	return Stat{
		Mode:  fileMode(uint32(st.Mode)),
		Size:  st.Size,
		Links: uint64(st.Nlink),
		Owner: st.Uid,
		ID:    FileID{uint64(st.Dev), uint64(st.Ino)},
		Mtime: st.Mtim.Nano(),
		Ctime: st.Ctim.Nano(),
	}
}

func fileMode(mode uint32) os.FileMode {
	m := os.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		m |= os.ModeDir
	case unix.S_IFLNK:
		m |= os.ModeSymlink
	case unix.S_IFIFO:
		m |= os.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= os.ModeSocket
	case unix.S_IFCHR:
		m |= os.ModeDevice | os.ModeCharDevice
	case unix.S_IFBLK:
		m |= os.ModeDevice
	default:
		m |= os.ModeIrregular
	}
	return m
}

// fstat is [unix.Fstat]. File systems in user space can be interrupted in it, too.
func fstat(fd int, st *unix.Stat_t) error {
	for {
		if err := unix.Fstat(fd, st); err != unix.EINTR {
			return err
		}
	}
}

// retry repeats a call that a signal interrupted.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err != unix.EINTR {
			return v, err
		}
	}
}

// MayWrite reports whether the modes and the mount allow us to make and rename
// files in the directory.
func MayWrite(path string) error {
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == unix.EACCES || err == unix.EROFS {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
