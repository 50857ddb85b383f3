package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func restoreCommand(run func(context.Context, []nebula.ID) error) *cobra.Command {
	return &cobra.Command{
		Use:   "restore ID…",
		Short: "Bring back deleted credentials",
		Long: `Bring back deleted credentials, where the backend keeps them. Where there is a
live one of that id, nothing is changed (7).`,
		Example:     `  nebula restore github_token`,
		Annotations: map[string]string{slow: "always"},
		Args:        someIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return run(cmd.Context(), ids)
		},
	}
}

func (a *app) restore(ctx context.Context, ids []nebula.ID) error {
	return a.withStore(ctx, func(store *config.Opened) error {
		done, err := a.each(ctx, store, ids, action{
			participle: "restored",
			do:         func(s *config.Opened, ctx context.Context, id nebula.ID) error { return s.Restore(ctx, id) },
		})
		if a.global.output == outputJSON {
			err = firstError(err, a.printIDs("restored", done))
		}
		return err
	})
}
