package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nebula-credential/nebula/unlock/agent"
)

// agentSession runs an agent for as long as a command runs. Without --socket it
// has one of its own, so that there can be several sessions.
func (a *app) agentSession(ctx context.Context, path string, o agentOptions) error {
	if o.socket == "" {
		path = filepath.Join(filepath.Dir(path), "agent-"+strings.ToLower(rand.Text()[:8])+".sock")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	// What a person interrupts at the terminal is the command, which gets the
	// signal itself, and not the session.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	keeper, err := agent.Listen(ctx, path, o.ttl)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- keeper.Serve(ctx) }()
	code, err := a.runSession(o.argv, path, signals)
	stop()
	if failure := <-served; err == nil && code == 0 {
		err = failure
	}
	if err == nil && code != 0 {
		err = errSilent(code)
	}
	return err
}

// runSession runs the command and returns its exit code.
func (a *app) runSession(argv []string, socket string, signals <-chan os.Signal) (code int, err error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	cmd.Env = append(append([]string{}, a.environ...), "NEBULA_AGENT_SOCK="+socket)
	if err := cmd.Start(); err != nil {
		return 0, notStarted(argv[0], err)
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
			var ended *exec.ExitError
			if !errors.As(err, &ended) {
				return 0, err
			}
			if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return ended.ExitCode(), nil
		}
	}
}
