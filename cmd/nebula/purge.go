package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func purgeCommand(run func(context.Context, selection) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purge ID…",
		Short: "Delete credentials for good",
		Long: `Delete credentials, live or deleted, so that nothing of them can be read or
restored, and wait until their names are free. It asks on a terminal; elsewhere
--yes is needed.`,
		Example: `  nebula purge old_token
  nebula purge --prefix test_ --dry-run
  nebula purge --all --yes`,
		Annotations: map[string]string{slow: "always"},
	}
	selected := selectionFlags(cmd, "purge", true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := selected(args)
		if err != nil {
			return err
		}
		return run(cmd.Context(), s)
	}
	return cmd
}

func (a *app) purge(ctx context.Context, s selection) error {
	return a.removeSelected(ctx, s, removal{asks: true, verb: verb{name: "purge", participle: "purged", gerund: "purging",
		do: func(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
			return s.Purge(ctx, id)
		},
	}})
}
