package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/process"
)

type watchOptions struct {
	ids      []nebula.ID
	interval time.Duration
	debounce time.Duration
	argv     []string // none: the ids are printed
}

func watchCommand(run func(context.Context, watchOptions) error) *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch ID… [-- CMD [ARG…]]",
		Short: "Run a command when credentials change",
		Long: `Wait for credentials to change, and run a command at each change, with
NEBULA_CHANGED set to the ids. The command gets no value: it reads what it
needs, with nebula run or nebula get for example. Without a command, watch
prints the id.

A deletion is a change too. Changes within the time of --debounce count as one.
While the command runs, watch starts no other.`,
		Example: `  nebula watch tls_cert tls_key -- systemctl reload nginx
  nebula watch db_password --interval 10s`,
		Annotations: map[string]string{slow: unlimited},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			dash := cmd.ArgsLenAtDash()
			if dash >= 0 {
				args, o.argv = args[:dash], args[dash:]
			}
			switch {
			case dash >= 0 && len(o.argv) == 0:
				return usage("there is no command after --", "")
			case o.interval < time.Second:
				return usage("--interval must be a duration of at least 1s", "")
			case o.debounce < 0:
				return usage("--debounce must be a duration, such as 1s", "")
			}
			if err := someIDs(cmd, args); err != nil {
				return err
			}
			if o.ids, err = parseIDs(args); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.interval, "interval", time.Minute, "the `time` between two looks, at backends that do not report changes")
	cmd.Flags().DurationVar(&o.debounce, "debounce", 500*time.Millisecond, "wait for this `time` after a change, for others")
	return cmd
}

func (a *app) watch(ctx context.Context, o watchOptions) error {
	var path string
	if len(o.argv) > 0 {
		var err error
		if path, err = lookUp(o.argv[0]); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		// Problems with the keys show now.
		if err := s.Unlock(ctx); err != nil {
			return err
		}
		w := s.Watch(nebula.WatchOptions{Interval: o.interval}, o.ids...)
		changed := make(chan nebula.ID)
		go a.tellChanges(ctx, w, changed)
		return a.runAtChanges(ctx, o, path, changed)
	})
}

// tellChanges sends the ids of credentials that change after the first look, and
// closes the channel at the end.
func (a *app) tellChanges(ctx context.Context, w *nebula.Watcher, changed chan<- nebula.ID) {
	defer close(changed)
	seen := make(map[nebula.ID]bool)
	for c := range w.Changes(ctx) {
		if c.Err != nil && !errors.Is(c.Err, nebula.ErrNotFound) {
			a.warn(a.failureOf(c.Err).String())
		}
		if !seen[c.ID] {
			seen[c.ID] = true
			continue
		}
		select {
		case changed <- c.ID:
		case <-ctx.Done():
		}
	}
}

// runAtChanges runs the command until the context ends.
func (a *app) runAtChanges(ctx context.Context, o watchOptions, path string, changed <-chan nebula.ID) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for id := range changed {
		ids := together(id, changed, o.debounce)
		if len(o.argv) == 0 {
			if err := a.printIDs("changed", ids); err != nil {
				return err
			}
			continue
		}
		cmd := exec.CommandContext(ctx, path)
		cmd.Args = o.argv
		cmd.Env = append(process.ChildEnvironment(a.environ), "NEBULA_CHANGED="+joinNames(ids))
		// When the watch ends, ask the command to end, and give it time.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 10 * time.Second
		var ended errSilent
		switch err := a.attend(cmd, signals); {
		case ctx.Err() != nil:
		case errors.As(err, &ended):
			a.warn(shorten(o.argv[0]) + " ended with " + ended.Error())
		case err != nil:
			return err
		}
	}
	return ctx.Err()
}

// together returns the ids of all changes that come until it is quiet.
func together(id nebula.ID, changed <-chan nebula.ID, debounce time.Duration) []nebula.ID {
	ids := []nebula.ID{id}
	timer := time.NewTimer(debounce)
	defer timer.Stop()
	for {
		select {
		case id, ok := <-changed:
			if !ok {
				return ids
			}
			ids = addID(ids, id)
			timer.Reset(debounce)
		case <-timer.C:
			return ids
		}
	}
}

func addID(ids []nebula.ID, id nebula.ID) []nebula.ID {
	for _, known := range ids {
		if known == id {
			return ids
		}
	}
	return append(ids, id)
}

func joinNames(ids []nebula.ID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(id))
	}
	return b.String()
}
