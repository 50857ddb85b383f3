package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/unlock/keychain"
)

type removeOptions struct {
	slot   string
	rotate bool
	yes    bool
}

func keyRemoveCommand(run func(context.Context, removeOptions) error) *cobra.Command {
	var o removeOptions
	cmd := &cobra.Command{
		Use:     "remove SLOT",
		Aliases: []string{"rm"},
		Short:   "Remove a slot, so that its key opens the store no longer",
		Long: `Remove a slot. key list shows the slots. The last one cannot be removed.

Removing does not revoke: anyone who has that key and an older copy of the
keyring can still read what is sealed under the data key. --rotate replaces the
data key as well, as key rotate --drop SLOT does.`,
		Example: `  nebula key remove abcd2345
  nebula key remove abcd2345 --rotate`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Annotations:       map[string]string{slow: unlimited},
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one slot")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.slot = args[0]
			if o.yes && !o.rotate {
				return usage("--yes goes with --rotate", "")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.rotate, "rotate", false, "replace the data key as well")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask, with --rotate")
	return cmd
}

func (a *app) keyRemove(ctx context.Context, o removeOptions) error {
	if o.rotate {
		return a.keyRotate(ctx, rotateOptions{drop: []string{o.slot}, yes: o.yes})
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		info, err := s.Store.Keys(ctx)
		if err != nil {
			return err
		}
		if err := s.RemoveKey(ctx, o.slot); err != nil {
			return err
		}
		a.forgetInKeychain(ctx, info, o.slot)
		a.tell("slot " + o.slot + " is removed, and not revoked: with an older copy of the keyring, from a backup or\n" +
			"a version that the backend keeps, its key still opens what is sealed under this data key")
		return a.print(map[string]string{"removed": o.slot}, noText)
	})
}

// forgetInKeychain removes the secret of a removed slot from the keychain here.
// The keychain of another machine may hold it instead.
func (a *app) forgetInKeychain(ctx context.Context, info nebula.KeyInfo, slotID string) {
	isIt := func(s nebula.Slot) bool { return s.ID == slotID && s.Kind == nebula.SlotKeychain }
	if !slices.ContainsFunc(info.Slots, isIt) {
		return
	}
	existed, err := keychain.Remove(ctx, slotID)
	if err != nil || !existed {
		a.tell("the keychain that holds the secret of the slot was not found here; it can be removed there: nebula, " + slotID)
	}
}
