package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/process"
)

// app has everything that the commands need from outside, so that tests can
// replace it.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	now            func() time.Time

	// Whether the streams are terminals.
	stdinIsTerminal, stdoutIsTerminal, stderrIsTerminal bool

	columns int // of the terminal that is standard output; 0 if it is none

	// openConsole opens the controlling terminal, if there is one.
	openConsole func() (*console, error)

	// release gives signals and limits back, before the process becomes another
	// program.
	release func()

	global globalFlags
	clock  *deadline // bounds the command that runs
}

// run runs the command of this process and returns its exit code. soften undoes
// the hardening of the process.
func run(soften func()) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	a := &app{
		stdin:            os.Stdin,
		stdout:           os.Stdout,
		stderr:           os.Stderr,
		environ:          os.Environ(),
		now:              time.Now,
		stdinIsTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		stdoutIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		stderrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		openConsole:      openConsole,
		release:          func() { stop(); soften() },
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && a.stdoutIsTerminal {
		a.columns = width
	}
	process.Forget()
	return a.run(ctx, os.Args[1:])
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	out := &stickyWriter{w: a.stdout}
	root.SetOut(out)
	root.SetErr(a.stderr)
	if len(args) > 0 && strings.HasPrefix(args[0], "__complete") {
		plainUsages(root)
	}
	err := root.ExecuteContext(ctx)
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = outputError(out.err) // of what cobra writes, the help for one
	}
	if a.clock != nil {
		a.clock.stop()
	}
	return a.report(err, args)
}

// load reads the configuration.
func (a *app) load() (*config.Config, error) {
	return config.Load(config.Source{File: a.global.config, Environ: a.environ, Store: a.global.store})
}

// open opens the store that the flags and the configuration name.
func (a *app) open(ctx context.Context) (*config.Opened, error) {
	return a.openWith(ctx, (*config.Config).Open)
}

// openWithoutKeys opens it without anything that could read a credential.
func (a *app) openWithoutKeys(ctx context.Context) (*config.Opened, error) {
	return a.openWith(ctx, (*config.Config).OpenWithoutKeys)
}

func (a *app) openWith(ctx context.Context,
	open func(*config.Config, context.Context, string, config.OpenOptions) (*config.Opened, error)) (*config.Opened, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	opened, err := open(c, ctx, a.global.store, a.options())
	if err != nil {
		return nil, err
	}
	a.global.where = opened.Keys.Where()
	return opened, nil
}

func (a *app) options() config.OpenOptions {
	return config.OpenOptions{Ask: a.askHidden, Tell: a.tell, Stderr: a.stderr, Environ: a.environ,
		CommandTimeout: a.commandTimeout(), Pause: a.pause,
		OneShot: !a.global.long, Logger: slog.New(warnings{a})}
}

// commandTimeout is how long a passphrase command may take: as long as --timeout
// says, or the default.
func (a *app) commandTimeout() time.Duration {
	if a.global.limitIsOn && a.global.limit == 0 {
		return -1
	}
	if a.global.limitIsOn {
		return a.global.limit
	}
	return 0
}

// pause stops the clock of the command until the function that it returns is
// called.
func (a *app) pause() (resume func()) {
	if a.clock == nil {
		return func() {}
	}
	return a.clock.pause()
}

// withStore runs f on the open store and closes it.
func (a *app) withStore(ctx context.Context, f func(*config.Opened) error) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = endsWithProcess(s, f(s))
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

func usage(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: message, Hint: hint}
}
