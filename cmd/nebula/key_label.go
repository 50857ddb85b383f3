package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/config"
)

func keyLabelCommand(run func(ctx context.Context, slot, label string) error) *cobra.Command {
	return &cobra.Command{
		Use:   "label SLOT TEXT",
		Short: "Say whose a slot is",
		Long: `Give a slot a label of at most 64 characters that key list shows. It is sealed
in the keyring: the backend shows none of it. An empty one removes the label.`,
		Example:           `  nebula key label abcd2345 "ada, laptop"`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 2, "a slot and a text")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0], args[1]) },
	}
}

func (a *app) keyLabel(ctx context.Context, slot, label string) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		if err := s.Label(ctx, slot, label); err != nil {
			return err
		}
		return a.print(map[string]string{"slot": slot, "label": label}, noText)
	})
}
