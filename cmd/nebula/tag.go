package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type tagOptions struct {
	id     nebula.ID
	set    map[string]string
	remove []string
}

func tagCommand(run func(context.Context, tagOptions) error) *cobra.Command {
	return &cobra.Command{
		Use:   "tag ID key=value… key-…",
		Short: "Set and remove tags",
		Long: `Set tags with key=value and remove them with key-. The value of the credential
stays. Tags are not secret: the backend can read them.`,
		Example: `  nebula tag github_token env=prod team=web
  nebula tag github_token env-`,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) >= 2, "an id and at least one tag")
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var o tagOptions
			if o.id, err = nebula.ParseID(args[0]); err != nil {
				return err
			}
			if o.set, o.remove, err = parseTagChanges(args[1:]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
}

func (a *app) tag(ctx context.Context, o tagOptions) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		v, err := s.Tag(ctx, o.id, o.set, o.remove)
		if err != nil {
			return err
		}
		a.done("tagged " + string(o.id))
		return a.printVersion(o.id, v)
	})
}
