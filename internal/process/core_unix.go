//go:build linux || darwin

package process

import "golang.org/x/sys/unix"

// noCore lowers the soft limit of core files to 0. The hard one stays: a user
// could not raise it again.
func noCore() (undo func()) {
	var before unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &before) != nil {
		return func() {}
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: before.Max})
	return func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &before) }
}
