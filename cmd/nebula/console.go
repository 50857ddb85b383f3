package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// console is the controlling terminal of the person who started the command,
// wherever its streams lead.
type console struct {
	in, out *os.File

	hiding bool     // between hide and showAgain
	before settings // of the terminal, while it hides
}

func (c *console) close() {
	_ = c.in.Close()
	if c.out != c.in {
		_ = c.out.Close()
	}
}

// answer is the line that a person typed.
type answer struct {
	line []byte
	err  error
}

// askHidden asks for a line that is not shown while it is typed. The clock of
// the command stops meanwhile.
func (a *app) askHidden(ctx context.Context, question string) ([]byte, error) {
	return a.ask(ctx, question, (*console).showAgain)
}

// askValue is askHidden for a value. If more lines were pasted, it drops them:
// otherwise the shell would run and show them.
func (a *app) askValue(ctx context.Context, question string) ([]byte, error) {
	more := false
	line, err := a.ask(ctx, question, func(c *console) { more = c.discard(); c.showAgain() })
	if err == nil && more {
		clear(line)
		return nil, usage("more than one line was entered, and nothing was stored", "read a value of several lines from a file or a pipe:\n"+
			"  nebula put tls_key --file key.pem")
	}
	return line, err
}

// askTwice is askValue. It asks twice, since the value does not show.
func (a *app) askTwice(ctx context.Context, question string) ([]byte, error) {
	first, err := a.askValue(ctx, question)
	if err != nil || len(first) == 0 {
		return first, err
	}
	second, err := a.askValue(ctx, "The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = usage("the two values differ, and nothing was stored", "")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

func (a *app) ask(ctx context.Context, question string, after func(*console)) ([]byte, error) {
	c, err := a.openConsole()
	if err != nil {
		return nil, config.ErrNoTerminal
	}
	if err := c.hide(); err != nil {
		c.close()
		return nil, config.ErrNoTerminal
	}
	// The typed newline does not show either.
	return a.await(ctx, c, question, func() { after(c); fmt.Fprintln(c.out) })
}

// askLine asks for something that is shown while it is typed.
func (a *app) askLine(ctx context.Context, question string) (string, error) {
	c, err := a.openConsole()
	if err != nil {
		return "", config.ErrNoTerminal
	}
	line, err := a.await(ctx, c, question, func() {})
	return strings.TrimSpace(string(line)), err
}

// await asks, and waits for a line, for the end of the context or for a signal
// that ends the process. Then it restores the terminal, even if it panics.
func (a *app) await(ctx context.Context, c *console, question string, restore func()) ([]byte, error) {
	defer a.pause()()
	restore = sync.OnceFunc(restore)
	defer restore()
	signals := make(chan os.Signal, 4)
	defer watchSignals(signals)()
	fmt.Fprint(c.out, escapeLines(question))
	answered := make(chan answer, 1)
	go func() { answered <- readLine(c.in) }()
	for {
		select {
		case got := <-answered:
			restore()
			c.close()
			return got.take()
		case <-ctx.Done():
			// The read goes on until the process ends, which is soon.
			return nil, ctx.Err()
		case s := <-signals:
			if !c.obeyAll(s, signals) {
				return nil, context.Canceled
			}
			fmt.Fprint(c.out, "\n"+escapeLines(question))
		}
	}
}

// obeyAll obeys a signal and those that came meanwhile, and reports whether the
// question stays open: a stop and the signal that ends it ask again once.
func (c *console) obeyAll(s os.Signal, more <-chan os.Signal) bool {
	for c.obey(s) {
		select {
		case s = <-more:
		default:
			return true
		}
	}
	return false
}

// take returns the line, or an error that says why it is not used.
func (got answer) take() ([]byte, error) {
	switch {
	case errors.Is(got.err, errLongLine):
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: got.err.Error(), Hint: "read it from a file or a pipe", Err: got.err}
	case got.err != nil:
		return nil, &nebula.Error{Kind: nebula.ErrInterrupted, Message: "nothing was entered", Err: got.err}
	}
	return got.line, nil
}

// errLongLine says that the terminal may have cut the line.
var errLongLine = fmt.Errorf("a line at the terminal has at most %d bytes; this one is longer, and was not used", maxLine-1)

// readLine reads a line, a byte at a time, because the rest is for another
// question.
func readLine(r io.Reader) answer {
	line, next := make([]byte, 0, 4096), make([]byte, 1)
	defer clear(next)
	for len(line) < maxLine {
		n, err := r.Read(next)
		switch {
		case n == 1 && next[0] == '\n':
			return answer{line: bytes.TrimSuffix(line, []byte("\r"))}
		case n == 1:
			line = append(line, next[0])
		case err != nil:
			clear(line)
			return answer{err: err}
		}
	}
	clear(line)
	// A terminal drops the rest of a longer line and reports no error.
	return answer{err: errLongLine}
}

// confirm asks for a yes. If nobody can be asked it says which flag means yes.
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
