package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// grace is the time that a server has to end.
const grace = 10 * time.Second

// child is a server's process. It leads a process group of its own. Its standard input
// stays open until it must end. On Linux the system kills it when this process dies.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   tail
	done  chan struct{} // closed when the process has ended
	err   error         // why it ended; read after done
}

// startChild starts the command. Its standard error is kept for messages.
func startChild(name string, cmd *exec.Cmd) (*child, error) {
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	cmd.Stderr = &c.log
	cmd.WaitDelay = time.Second // if a process that it left holds the pipe
	detach(cmd)
	started := make(chan error, 1)
	go func() {
		// Linux sends the signal when the thread that started the child ends. So this thread
		// waits for the child and does nothing else.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		_ = stdin.Close()
		return nil, err
	}
	return c, nil
}

// stop ends the process and its group, and waits for it.
func (c *child) stop() {
	_ = c.stdin.Close()
	terminate(c.cmd)
	select {
	case <-c.done:
	case <-time.After(grace):
	}
	// End what it left behind in its group, too.
	kill(c.cmd)
	<-c.done
}

// ended says why a process has ended that should still run.
func (c *child) ended() error {
	reason := "it ended"
	if c.err != nil {
		reason = c.err.Error()
	}
	if text := c.log.String(); text != "" {
		reason += "\n" + text
	}
	return fmt.Errorf("%s: %s", c.name, reason)
}

// tail is a writer that keeps the last 16 KiB.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - 16<<10; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

func interrupt(p *os.Process) error {
	if runtime.GOOS == "windows" {
		return p.Kill()
	}
	return p.Signal(os.Interrupt)
}
