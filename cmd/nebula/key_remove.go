package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/config"
)

func keyRemoveCommand(run func(context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:     "remove SLOT",
		Aliases: []string{"rm"},
		Short:   "Remove a slot, so that its key opens the store no longer",
		Long: `Remove a slot. The last one cannot be removed. Slots are shown by key list.

Removing does not revoke: whoever has an older copy of the keyring, and that
key, can still read what is sealed under the data key.`,
		Example:           `  nebula key remove abcd2345`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one slot")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0]) },
	}
}

func (a *app) keyRemove(ctx context.Context, slot string) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		if err := s.RemoveKey(ctx, slot); err != nil {
			return err
		}
		a.tell("slot " + slot + " is removed, and not revoked: with an older copy of the keyring, from a backup or\n" +
			"a version that the backend keeps, its key still opens what is sealed under this data key")
		return a.print(map[string]string{"removed": slot}, noText)
	})
}
