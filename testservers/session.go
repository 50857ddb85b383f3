package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// session holds the processes that one `up` started, and a folder for their files.
type session struct {
	dir      string
	tools    *cache
	children []*child
	lost     chan *child // a child that ended by itself
}

func newSession(tools *cache) (*session, error) {
	dir, err := os.MkdirTemp("", "nebula-testservers-")
	if err != nil {
		return nil, err
	}
	return &session{dir: dir, tools: tools, lost: make(chan *child, 16)}, nil
}

// start starts a process that ends with the session.
func (s *session) start(name string, cmd *exec.Cmd) (*child, error) {
	cmd.Dir = s.dir
	c, err := startChild(name, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.children = append(s.children, c)
	go func() {
		<-c.done
		select {
		case s.lost <- c:
		default:
		}
	}()
	return c, nil
}

// startAndReadLine starts a process that prints one line when it is ready.
func (s *session) startAndReadLine(ctx context.Context, name, path string, args ...string) ([]byte, error) {
	cmd := exec.Command(path, args...)
	// exec would close a pipe of its own when the process ends, perhaps before we have
	// read the line. So this pipe is ours.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout = in
	c, err := s.start(name, cmd)
	_ = in.Close()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stopReading := context.AfterFunc(ctx, func() { _ = out.Close() })
	defer stopReading()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s did not say that it is ready: %w", name, ctx.Err())
	}
	if err != nil {
		c.stop()
		return nil, errors.Join(c.ended(), err)
	}
	return line, nil
}

// close stops everything, the last first, and removes the folder.
func (s *session) close() error {
	for _, c := range slices.Backward(s.children) {
		c.stop()
	}
	return os.RemoveAll(s.dir)
}
