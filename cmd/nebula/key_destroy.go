package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type destroyOptions struct {
	id    nebula.KeyID
	leave []string
	yes   bool
}

func keyDestroyCommand(run func(context.Context, destroyOptions) error) *cobra.Command {
	var o destroyOptions
	cmd := &cobra.Command{
		Use:   "destroy ID",
		Short: "Remove a retired data key from the keyring",
		Long: `Remove a data key that was replaced from the keyring. Nobody can then read old
versions and backups that are sealed under it. key list shows the ids.

key destroy reads every record first. If one is sealed under that key or cannot
be read, nothing is destroyed, unless --leave names it.`,
		Example:           `  nebula key destroy 9a414c1d0f6e4b0f9d6a3c9b1e2d4f50`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one key id")
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.id, err = nebula.ParseKeyID(args[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringArrayVar(&o.leave, "leave", nil, "lose the record `NAME`, if it needs that key; may be repeated")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) keyDestroy(ctx context.Context, o destroyOptions) error {
	if !o.yes && !a.stdinIsTerminal {
		return usage("key destroy needs --yes if there is no terminal to ask at", "")
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		if !o.yes {
			question := fmt.Sprintf("Destroy the retired data key %v of %s? Old versions and backups that are sealed under it are lost.",
				o.id, s.Keys.Place())
			if len(o.leave) > 0 {
				question += "\n" + leaveQuestion(o.leave, "it is destroyed")
			}
			if err := a.confirm(ctx, question); err != nil {
				return err
			}
		}
		shown := a.progress("looking at", -1)
		err := s.DestroyKey(ctx, o.id, nebula.DestroyOptions{Leave: o.leave, Progress: shown.set})
		shown.end()
		if err != nil {
			return err
		}
		return a.print(map[string]string{"destroyed": o.id.String()}, noText)
	})
}
