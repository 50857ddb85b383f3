//go:build unix

package audit

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// noFollow: opening a link fails, and opening a named pipe does not wait.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// writeOnce is one write(2). An os.File would write the rest of a short write later,
// perhaps after the line of another process.
func (o *output) writeOnce(p []byte) (int, error) {
	if o.isStream {
		return o.file.Write(p)
	}
	for {
		n, err := unix.Write(int(o.file.Fd()), p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func links(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink)
}
