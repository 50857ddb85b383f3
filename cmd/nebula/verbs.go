package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/config"
)

// verbCommand completes a command that applies a verb to the named credentials,
// or with selecting flags to those that these find.
func verbCommand(run func(context.Context, selection, verb) error, v verb, selects bool, cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{slow: "always"}
	var selected func(args []string) (selection, error)
	if selects {
		selected = selectionFlags(cmd, v.name, true)
	} else {
		selected = nameFlags(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := selected(args)
		if err != nil {
			return err
		}
		return run(cmd.Context(), s, v)
	}
	return cmd
}

// overSelection applies a verb to the selection. It asks first, unless the
// credentials are named and the verb removes nothing for good.
func (a *app) overSelection(ctx context.Context, s selection, v verb) error {
	asks := (v.asks || !s.byName()) && !s.dryRun && !s.yes
	if asks && !a.stdinIsTerminal {
		return usage(v.name+" needs --yes if there is no terminal to ask at", "to see what it would take: --dry-run")
	}
	if s.dryRun && s.byName() {
		return a.printIDs("would_"+v.name, s.ids)
	}
	return a.withStore(ctx, func(store *config.Opened) error {
		ids, skipped, err := a.resolve(ctx, store, s)
		if err != nil {
			return err
		}
		if s.dryRun {
			return firstError(a.printIDs("would_"+v.name, ids), skipped)
		}
		if asks && len(ids) > 0 {
			if err := a.confirm(ctx, question(v.name, ids, store.Keys.Place())); err != nil {
				return err
			}
		}
		return firstError(a.overMany(ctx, store, ids, v), skipped)
	})
}
