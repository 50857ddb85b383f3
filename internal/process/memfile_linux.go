package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MemoryFile returns the path of a file in memory that holds data, which nobody can
// change. The program that this process becomes inherits it. Its children can open
// it too, even if they closed their descriptors, as long as it lives. The path is
// in no directory: a program that resolves it finds nothing.
func MemoryFile(name string, data []byte) (path string, err error) {
	fd, err := newMemoryFile(name)
	if err != nil {
		return "", fmt.Errorf("make a file in memory: %w", err)
	}
	if err := fill(fd, data); err != nil {
		_ = unix.Close(fd)
		return "", fmt.Errorf("write a file in memory: %w", err)
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
}

// newMemoryFile makes one that cannot be executed, if the kernel knows of that
// (6.3).
func newMemoryFile(name string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		return unix.MemfdCreate(name, unix.MFD_ALLOW_SEALING)
	}
	return fd, err
}

func fill(fd int, data []byte) error {
	// Its mode is 0777 or 0666, and OpenSSH refuses a key that others may read.
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return err
	}
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil && err != unix.EINTR {
			return err
		}
		data = data[max(n, 0):]
	}
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return err
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	return err
}
