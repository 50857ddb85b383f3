package process

import "golang.org/x/sys/unix"

// Harden makes the process non-dumpable: no other process of the same user can
// trace it or read its memory and environment in /proc, and it leaves no core.
// The limit of core files alone is not enough: a core_pattern with a pipe ignores
// it. Failures are not reported: the program works without.
//
// A process that becomes another program calls undo before, so that the program
// has the limit of the caller. The system itself makes it dumpable again.
func Harden() (undo func()) {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	return noCore()
}
