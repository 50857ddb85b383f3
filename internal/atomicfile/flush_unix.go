//go:build unix && !darwin

package atomicfile

import "golang.org/x/sys/unix"

func flushDescriptor(fd int) error {
	_, err := retry(func() (int, error) { return 0, unix.Fsync(fd) })
	return err
}
