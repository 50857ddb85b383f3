//go:build unix

package process

import "syscall"

// noSignal only asks whether there is a process.
const noSignal = syscall.Signal(0)
