//go:build unix

package main

import (
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// atShell starts a shell with job control on a terminal.
func atShell(t *testing.T, env []string) *person {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	return sit(t, append(env, "PS1=ready> "), func(c *exec.Cmd) {
		c.Path, c.Args = bash, []string{"bash", "--norc", "--noprofile", "--noediting", "-i"}
	})
}

// A person stops the command at a hidden prompt, uses the shell, and continues the
// command. Nothing that they then type shows.
func TestStopAtThePrompt(t *testing.T) {
	p := atShell(t, home(t))
	p.await("ready> ")
	p.enter("nebula put token\n")
	p.await("Value of token (hidden, one line): ")
	p.awaitHidden()
	for range 3 {
		p.enter("s3c\x1a")
		p.await("Stopped")
		p.await("ready> ")
		if !p.echo() {
			t.Error("the shell does not show what is typed")
		}
		p.enter("echo shown\n")
		p.await("shown\r\nshown")
		p.await("ready> ")
		p.enter("fg\n")
		p.await("Value of token (hidden, one line): ")
		p.awaitHidden()
	}
	p.enter("s3cret\n")
	p.await("The same again: ")
	p.awaitHidden()
	p.enter("s3\x1a")
	p.await("ready> ")
	p.enter("fg\n")
	p.await("The same again: ")
	p.awaitHidden()
	p.enter("s3cret\n")
	p.await("stored token")
	p.await("ready> ")
	for question, times := range map[string]int{"Value of token": 4, "The same again": 2} {
		if got := strings.Count(p.seen(), question); got != times {
			t.Errorf("%q was asked %d times, want %d: %q", question, got, times, p.seen())
		}
	}
	if strings.Contains(p.seen(), "s3c") {
		t.Errorf("the value shows: %q", p.seen())
	}
	p.enter("nebula get token\n")
	p.await("s3cret\r\n")
	p.enter("exit\n")
	p.leave(0)
}

// If nobody could continue a process, the system does not stop it. The prompt stays
// hidden.
func TestStopWithoutAShell(t *testing.T) {
	p := sit(t, home(t), nil, "put", "token")
	p.await("Value of token")
	p.awaitHidden()
	p.enter("s3c\x1a")
	p.await("Value of token")
	p.awaitHidden()
	p.enter("s3cret\n")
	p.answer("The same again", "s3cret\n")
	p.await("stored token")
	p.leave(0)
	if strings.Contains(p.seen(), "s3c") {
		t.Errorf("the value shows: %q", p.seen())
	}
}

// Whichever signal ends the command at a prompt, the terminal is as it was before.
func TestSignalsAtThePrompt(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT} {
		if signal.Ignored(s) { // ignored from the start, as under nohup: the command ignores it, too
			continue
		}
		p := sit(t, home(t), nil, "put", "token")
		p.await("hidden")
		p.awaitHidden()
		time.Sleep(10 * time.Millisecond)
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		p.leave(130)
		if strings.Contains(p.seen(), "goroutine") {
			t.Errorf("%v: %q", s, p.seen())
		}
	}
}
