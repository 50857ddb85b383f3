package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func purgeCommand(run func(context.Context, selection, verb) error) *cobra.Command {
	return verbCommand(run, verb{name: "purge", participle: "purged", gerund: "purging", asks: true, do: purgeOne}, true, &cobra.Command{
		Use:   "purge ID…",
		Short: "Delete credentials for good",
		Long: `Delete credentials for good, live ones and deleted ones: nobody can read or
restore them. purge waits until their names are free. It asks first. If there is
no terminal to ask at, it needs --yes.`,
		Example: `  nebula purge old_token
  nebula purge --prefix test_ --dry-run
  nebula purge --all --yes`,
	})
}

func purgeOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	return s.Purge(ctx, id)
}
