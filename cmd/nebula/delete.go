package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func deleteCommand(run func(context.Context, selection, verb) error) *cobra.Command {
	return verbCommand(run, verb{name: "delete", participle: "deleted", gerund: "deleting", do: deleteOne}, true, &cobra.Command{
		Use:     "delete ID…",
		Aliases: []string{"rm"},
		Short:   "Delete credentials; some backends can restore them",
		Long: `Delete credentials. Named ids are deleted without asking. Those that were not
there are named, which is no error. aws, azure and vault can bring them back
with restore; local and kubernetes cannot.

What --all, --prefix or --tag selects is asked for on a terminal; elsewhere
--yes is needed.`,
		Example: `  nebula delete github_token old_token
  nebula delete --prefix test_ --dry-run
  nebula delete --tag env=staging --yes`,
	})
}

func deleteOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	return s.Delete(ctx, id, nebula.DeleteOptions{})
}
