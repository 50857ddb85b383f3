package audit

import "golang.org/x/sys/unix"

func (o *output) flushData() error {
	for {
		if err := unix.Fdatasync(int(o.file.Fd())); err != unix.EINTR {
			return err
		}
	}
}
