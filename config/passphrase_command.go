package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
	"unicode/utf8"

	"github.com/google/shlex"

	"github.com/nebula-credential/nebula/internal/process"
)

// runPassphrase runs a command, without a shell, and returns what it prints.
func runPassphrase(ctx context.Context, command string, options OpenOptions) ([]byte, error) {
	if !utf8.ValidString(command) { // shlex would start another program
		return nil, errors.New("it is not UTF-8")
	}
	args, err := shlex.Split(command)
	if err != nil {
		return nil, errors.New("its quotes do not match, or it ends in a backslash")
	}
	if len(args) == 0 {
		return nil, errors.New("it is set and empty")
	}
	ctx, limit, cancel := options.wait(ctx)
	defer cancel()
	out := &limitedBuffer{stop: cancel}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = process.ChildEnvironment(options.Environ)
	cmd.Stdout, cmd.Stderr = out, options.Stderr
	cmd.WaitDelay = time.Second // for children of the command that keep the pipe
	err = cmd.Run()
	switch {
	case out.full:
		return nil, fmt.Errorf("the command printed more than %d bytes", maxPassphraseSize)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, &slowError{"the command took more", limit}
	case err != nil:
		clear(out.text)
		return nil, fmt.Errorf("the command failed: %w", startError(err))
	}
	return out.text, nil
}

// wait returns a context for another program that gives a passphrase, and how
// long that may take. The deadline of the process is paused until end is called.
func (o OpenOptions) wait(ctx context.Context) (limited context.Context, limit time.Duration, end func()) {
	resume := func() {}
	if o.Pause != nil {
		resume = o.Pause()
	}
	limit = o.CommandTimeout
	if limit == 0 {
		limit = commandTimeout
	}
	limited, cancel := withLimit(ctx, limit)
	return limited, limit, func() { cancel(); resume() }
}

// withLimit returns a context that ends after limit, with the cause
// DeadlineExceeded; a negative limit is none. Unlike with context.WithTimeout,
// the deadline of ctx does not count: it is paused meanwhile.
func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithCancelCause(ctx)
	stop := func() bool { return true }
	if limit >= 0 {
		stop = time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) }).Stop
	}
	return limited, func() { stop(); cancel(context.Canceled) }
}

// slowError says that a passphrase command took too long.
type slowError struct {
	what  string
	limit time.Duration
}

func (e *slowError) Error() string { return fmt.Sprintf("%s than %s", e.what, e.limit) }

// startError is the error of a command that did not start. It does not show the
// arguments, which may hold secrets.
func startError(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// limitedBuffer ends a command that prints too much.
type limitedBuffer struct {
	text []byte
	full bool
	stop context.CancelFunc
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > maxPassphraseSize {
		clear(b.text)
		b.text, b.full = nil, true
		b.stop()
		return 0, io.ErrShortBuffer
	}
	if cap(b.text) == 0 {
		b.text = make([]byte, 0, 4096) // growing would leave copies of the secret behind
	}
	b.text = append(b.text, p...)
	return len(p), nil
}
