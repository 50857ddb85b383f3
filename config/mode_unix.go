//go:build unix

package config

import (
	"fmt"
	"os"
	"syscall"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// unwritable returns the command that leaves writing a file to its owner, who
// has to be the user or root.
func unwritable(path string, f *os.File) string {
	me := os.Geteuid()
	if info, err := f.Stat(); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != me {
			return fmt.Sprintf("chown %d %s", me, atomicfile.Quote(path))
		}
	}
	return "chmod go-w " + atomicfile.Quote(path)
}
