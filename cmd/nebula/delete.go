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
		Long: `Delete credentials. Ids that you name are deleted without a question. An id that
is not there is named, and is no error. On aws, azure and vault, restore brings
deleted credentials back; on local and kubernetes a deletion is final.

With --all, --prefix or --tag, delete asks first. If there is no terminal to ask
at, it needs --yes.`,
		Example: `  nebula delete github_token old_token
  nebula delete --prefix test_ --dry-run
  nebula delete --tag env=staging --yes`,
	})
}

func deleteOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	return s.Delete(ctx, id, nebula.DeleteOptions{})
}
