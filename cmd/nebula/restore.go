package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func restoreCommand(run func(context.Context, []nebula.ID, bool) error) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "restore ID…",
		Short: "Bring back deleted credentials",
		Long: `Bring back deleted credentials, where the backend keeps them. Where there is a
live one of that id, nothing is changed (7). Those of which there is nothing to
bring back are named, which is no error.`,
		Example:     `  nebula restore github_token`,
		Annotations: map[string]string{slow: "always"},
		Args:        someIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return run(cmd.Context(), ids, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show the ids")
	return cmd
}

func (a *app) restore(ctx context.Context, ids []nebula.ID, dryRun bool) error {
	if dryRun {
		return a.printIDs("would_restore", ids)
	}
	return a.withStore(ctx, func(store *config.Opened) error {
		return a.overMany(ctx, store, ids, verb{name: "restore", participle: "restored", gerund: "restoring", do: restoreOne})
	})
}

func restoreOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	err = s.Restore(ctx, id)
	if errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised) {
		return false, nil
	}
	return err == nil, err
}
