package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func existsCommand(run func(context.Context, nebula.ID) error) *cobra.Command {
	return &cobra.Command{
		Use:   "exists ID",
		Short: "Say by the exit code whether there is a credential",
		Long: `Print nothing. The exit code is 0 if there is such a credential, readable or
not, and 3 if there is none.`,
		Example: `  nebula exists github_token && echo yes
  if ! nebula exists db_password; then …`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return run(cmd.Context(), id)
		},
	}
}

func (a *app) exists(ctx context.Context, id nebula.ID) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		found, err := s.Exists(ctx, id)
		if err == nil && !found {
			return errSilent(exitCode(nebula.ErrNotFound))
		}
		return err
	})
}
