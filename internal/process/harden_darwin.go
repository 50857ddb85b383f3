package process

import "golang.org/x/sys/unix"

// Harden prevents core dumps of the process.
func Harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
