package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/process"
)

// Exit codes of commands that start programs, as shells have them.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// codedError is an error with an exit code of its own.
type codedError struct {
	error
	code int
}

func (e *codedError) Unwrap() error { return e.error }

// lookUp finds a program in the PATH of the caller: no stored value chooses it.
func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", notStarted(name, err)
	}
	return path, nil
}

// notStarted says why a program was not started.
func notStarted(name string, err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	var at *fs.PathError
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && errors.As(err, &at) && config.Exists(at.Path):
		return &codedError{usage(shorten(name)+" cannot be run: the interpreter that its first line names is not there", ""), codeNotFound}
	case missing, errors.Is(err, exec.ErrNotFound):
		return &codedError{usage("there is no program "+shorten(name), ""), codeNotFound}
	case process.IsTooLong(err):
		return &nebula.Error{Kind: nebula.ErrTooLarge, Err: err, Message: "the environment and the arguments are together larger than the system allows",
			Hint: "give large values as files: --as-file NAME=REF"}
	}
	return &codedError{usage(shorten(name)+" cannot be run: "+atomicfile.Reason(err), ""), codeNotExecutable}
}

// attend runs a command on the streams of this process and returns its exit code as
// an error, or nil for 0. It passes signals on, except an interrupt at the
// terminal, which reaches the command by itself.
func (a *app) attend(cmd *exec.Cmd, signals <-chan os.Signal) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	if err := cmd.Start(); err != nil {
		return notStarted(cmd.Args[0], err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s != os.Interrupt {
				_ = cmd.Process.Signal(s)
			}
		case err := <-done:
			return endOfProgram(err)
		}
	}
}

func endOfProgram(err error) error {
	var ended *exec.ExitError
	if err == nil || !errors.As(err, &ended) {
		return err
	}
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return errSilent(128 + int(status.Signal()))
	}
	return errSilent(ended.ExitCode())
}
