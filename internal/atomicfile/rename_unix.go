//go:build unix && !linux && !darwin

package atomicfile

import "golang.org/x/sys/unix"

func renameNoReplace(dir int, from, to string) error { return unix.ENOSYS }
