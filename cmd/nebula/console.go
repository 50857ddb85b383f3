package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// console is the controlling terminal: that of the person who started the
// command, wherever its streams lead.
type console struct {
	in, out *os.File
}

func (c *console) close() {
	_ = c.in.Close()
	if c.out != c.in {
		_ = c.out.Close()
	}
}

// answer is what a person typed.
type answer struct {
	text []byte
	err  error
}

// askHidden asks for something that is not shown while it is typed. The clock
// of the command stands meanwhile.
func (a *app) askHidden(ctx context.Context, question string) ([]byte, error) {
	c, err := a.openConsole()
	if err != nil {
		return nil, config.ErrNoTerminal
	}
	fd := int(c.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		c.close()
		return nil, config.ErrNoTerminal
	}
	return a.await(ctx, c, question, func() answer {
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(c.out)
		return answer{text, err}
	}, func() {
		_ = term.Restore(fd, before)
		fmt.Fprintln(c.out)
	})
}

// askLine asks for something that is shown while it is typed.
func (a *app) askLine(ctx context.Context, question string) (string, error) {
	c, err := a.openConsole()
	if err != nil {
		return "", config.ErrNoTerminal
	}
	line, err := a.await(ctx, c, question, func() answer {
		text, err := bufio.NewReader(c.in).ReadBytes('\n')
		return answer{text, err}
	}, func() { fmt.Fprintln(c.out) })
	return strings.TrimSpace(string(line)), err
}

// await asks and waits for the answer or for the end of the context; then the
// terminal is left as it was found.
func (a *app) await(ctx context.Context, c *console, question string, read func() answer, restore func()) ([]byte, error) {
	if a.clock != nil {
		defer a.clock.pause()()
	}
	if err := ctx.Err(); err != nil {
		c.close()
		return nil, err
	}
	fmt.Fprint(c.out, escape(question))
	answered := make(chan answer, 1)
	go func() { answered <- read() }()
	select {
	case got := <-answered:
		c.close()
		if got.err != nil {
			return nil, &nebula.Error{Kind: nebula.ErrInterrupted, Message: "nothing was entered", Err: got.err}
		}
		return got.text, nil
	case <-ctx.Done():
		// The read goes on until the process ends, which is soon.
		restore()
		return nil, ctx.Err()
	}
}

// confirm asks for a yes. Where nobody can be asked it says which flag means yes.
func (a *app) confirm(ctx context.Context, question string) error {
	line, err := a.askLine(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(line) {
	case "y", "yes":
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInterrupted, Message: "nothing was changed"}
}
