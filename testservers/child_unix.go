//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// detach cannot tie the child's life to ours here: a server has to end with its
// standard input.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
