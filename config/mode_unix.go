//go:build unix

package config

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// unwritable returns the command after which only the owner, the user or root,
// can write a file.
func unwritable(path string, f *os.File) string {
	me := os.Geteuid()
	if info, err := f.Stat(); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != me {
			return fmt.Sprintf("chown %d %s", me, atomicfile.Quote(path))
		}
	}
	return "chmod go-w " + atomicfile.Quote(path)
}

// mayWrite reports whether files can be made in a directory.
func mayWrite(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// isBelowFile reports whether an error says that a path leads through a file.
func isBelowFile(err error) bool { return errors.Is(err, unix.ENOTDIR) }
