//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// detach cannot make the system end the child with us. A server ends with its standard
// input.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
