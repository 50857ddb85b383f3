package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// up starts the servers, prints what clients need, and stays.
func up(ctx context.Context, chosen []server, tools *cache, stdin io.Reader, stdout io.Writer) (err error) {
	parent := os.Getppid()
	// Build everything first: a server that waits minutes for the next one is of no use.
	if err := build(ctx, chosen, tools, io.Discard); err != nil {
		return err
	}
	s, err := newSession(tools)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	var lines []string
	for _, server := range chosen {
		variables, err := server.start(ctx, s)
		if err != nil {
			return err
		}
		for _, v := range variables {
			lines = append(lines, v.export())
		}
	}
	for _, line := range append(lines, "ready") {
		if _, err := fmt.Fprintln(stdout, line); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(ended)
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return nil
	case <-orphaned(ctx, parent):
		return nil
	case c := <-s.lost:
		return c.ended()
	}
}

// orphaned returns a channel that is closed when the process that started this one is
// gone: go run ends at SIGTERM without passing it on. On Windows it stays open.
func orphaned(ctx context.Context, parent int) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for os.Getppid() == parent && ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
		}
	}()
	return gone
}
