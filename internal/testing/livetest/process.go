package livetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// process is a server that ends when its standard input does, and so when this process
// does.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *os.File
}

// startProcess returns when the process has printed its first line. It leaves no
// goroutine behind, because tests look for leaks.
func startProcess(cmd *exec.Cmd) (*process, []byte, error) {
	stderr, err := os.CreateTemp("", "nebula-livetest-*.log")
	if err != nil {
		return nil, nil, err
	}
	// If the system refuses to remove an open file, stop removes it.
	_ = os.Remove(stderr.Name())
	cmd.Stderr = stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		// Variables that are set for the tests and the client must not reach the
		// server.
		return strings.HasPrefix(v, "GODEBUG=") || strings.HasPrefix(v, "VAULT_") || strings.HasPrefix(v, "AWS_")
	})
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, stderr: stderr}
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		log := p.log()
		return nil, nil, errors.Join(fmt.Errorf("it ended before it was ready: %s", log), p.stop())
	}
	return p, line, nil
}

func (p *process) log() string {
	text, _ := io.ReadAll(io.NewSectionReader(p.stderr, 0, 64<<10))
	return strings.TrimSpace(string(text))
}

// stop tells the process to end and waits for it.
func (p *process) stop() error {
	_ = p.stdin.Close()
	late := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	err := p.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, p.log())
	}
	_ = p.stderr.Close()
	_ = os.Remove(p.stderr.Name())
	return err
}

// stopOwn ends the server of one test, if it runs. It refuses to stop a shared one,
// which other tests use.
func stopOwn(t testing.TB, p **process, own bool) {
	t.Helper()
	if !own {
		t.Fatal("only a server made for one test can be stopped: others use the shared one")
	}
	if *p == nil {
		return
	}
	if err := (*p).stop(); err != nil {
		t.Errorf("stop the server: %v", err)
	}
	*p = nil
}

// checkStopped ends the test if the server runs: Start is only for a server that was
// stopped.
func checkStopped(t testing.TB, p *process) {
	t.Helper()
	if p != nil {
		t.Fatal("the server is running")
	}
}
