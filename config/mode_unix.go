//go:build unix

package config

import (
	"fmt"
	"os"
	"syscall"
)

// writableByOthers says who else can write the file and how to mend that, or
// nothing.
func writableByOthers(path string, info os.FileInfo) (problem, fix string) {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Sprintf("others may write it (mode %04o)", mode), "chmod go-w " + path
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if me := os.Geteuid(); ok && stat.Uid != 0 && int(stat.Uid) != me {
		return fmt.Sprintf("it belongs to the user %d, not to you or root", stat.Uid), fmt.Sprintf("chown %d %s", me, path)
	}
	return "", ""
}

// readableByOthers says who else can read a file with a secret in it.
func readableByOthers(info os.FileInfo) string {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("others may read it (mode %04o)", mode)
	}
	return ""
}
