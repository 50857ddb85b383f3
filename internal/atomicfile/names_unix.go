//go:build unix && !linux

package atomicfile

import (
	"os"

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
	return &Names{file: os.NewFile(uintptr(fd), d.path)}, nil
}
