package process

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// Detach makes the command run without the console and its signals.
func Detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
