//go:build unix

package process

import (
	"os/exec"
	"syscall"
)

// Detach makes the command run in a session of its own, without the terminal, its
// signals, the working directory, and the descriptors that this process inherited.
func Detach(cmd *exec.Cmd) {
	const most = 256 // descriptors; a shell hands on few
	for fd := 3; fd < most; fd++ {
		syscall.CloseOnExec(fd)
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
