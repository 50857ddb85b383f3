package main

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/nebula-credential/nebula/internal/process"
)

// start becomes the program, if the system can do that and nothing must be
// removed afterwards. Otherwise it runs the program and ends as it does.
func (a *app) start(path string, o runOptions, variables []variable) error {
	files, err := writeFiles(variables)
	if err != nil {
		return err
	}
	environ := o.environment(a.environ, variables)
	if process.CanBecome && files == nil {
		a.release()
		return notStarted(o.argv[0], process.Become(path, o.argv, environ))
	}
	defer files.Remove()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer a.pause()()
	cmd := exec.Command(path)
	cmd.Args, cmd.Env = o.argv, environ
	return a.attend(cmd, signals)
}
