package atomicfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names starts at the beginning.
func (d *Dir) Names() (*Names, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.path, Err: err}
	}
	const batch = 32 << 10
	return &Names{file: os.NewFile(uintptr(fd), d.path), buf: make([]byte, batch)}, nil
}

// Next calls visit for the names of the next batch, which are valid during the
// call alone, with their types, and returns io.EOF after the last. A linked
// list of records is read as the kernel gives it: os.File makes a string of
// each name before it can be looked at.
func (n *Names) Next(visit func(name []byte, t os.FileMode)) error {
	size, err := retry(func() (int, error) { return unix.ReadDirent(int(n.file.Fd()), n.buf) })
	if err != nil {
		return &os.PathError{Op: "readdir", Path: n.file.Name(), Err: err}
	}
	if size == 0 {
		return io.EOF
	}
	const (
		atLength = unsafe.Offsetof(unix.Dirent{}.Reclen)
		atType   = unsafe.Offsetof(unix.Dirent{}.Type)
		atName   = unsafe.Offsetof(unix.Dirent{}.Name)
	)
	for rest := n.buf[:size]; len(rest) > int(atName); {
		length := int(binary.NativeEndian.Uint16(rest[atLength:]))
		if length <= int(atName) || length > len(rest) {
			break
		}
		name := rest[atName:length]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		if len(name) > 2 || string(name) != "." && string(name) != ".." {
			visit(name, direntType(rest[atType]))
		}
		rest = rest[length:]
	}
	return nil
}

func direntType(t byte) os.FileMode {
	if t == unix.DT_UNKNOWN {
		return typeUnknown
	}
	return fileMode(uint32(t) << 12) // as the S_IF constants are made
}
