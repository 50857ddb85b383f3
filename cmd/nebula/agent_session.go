package main

import (
	"context"
	"crypto/rand"
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
	// A person at the terminal interrupts the command, which gets the signal
	// itself, and not the session.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	keeper, err := agent.Listen(ctx, path, o.ttl)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- keeper.Serve(ctx) }()
	cmd := exec.Command(o.argv[0], o.argv[1:]...)
	cmd.Env = append(append([]string{}, a.environ...), "NEBULA_AGENT_SOCK="+path)
	err = a.attend(cmd, signals)
	stop()
	return firstError(err, <-served)
}
