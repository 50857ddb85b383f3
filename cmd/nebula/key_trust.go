package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type trustOptions struct {
	id     nebula.KeyID
	forget bool
	yes    bool
}

func keyTrustCommand(run func(context.Context, trustOptions) error) *cobra.Command {
	var o trustOptions
	cmd := &cobra.Command{
		Use:   "trust ID | --forget",
		Short: "Accept the store's data key, even if another one is remembered",
		Long: `Accept the data key that the store has now, although another one, or a later
state of its keyring, is remembered. Use it after you restored a backup or made
the store anew. The id is the one that the message shows. Ask the owner of the
store: anyone who can write the backend could have put another key there.

--forget drops what is remembered, so that a new store can be made there.`,
		Example: `  nebula key trust 3f0c4c1d0f6e4b0f9d6a3c9b1e2d4f50
  nebula key trust --forget`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.forget, "forget", false, "forget the store's data key")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if o.forget {
			return noArgs(cmd, args)
		}
		return count(cmd, args, len(args) == 1, "one key id")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if !o.forget {
			if o.id, err = nebula.ParseKeyID(args[0]); err != nil {
				return err
			}
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func (a *app) keyTrust(ctx context.Context, o trustOptions) error {
	if !o.yes && !a.stdinIsTerminal {
		return usage("key trust needs --yes if there is no terminal to ask at", "")
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		question := fmt.Sprintf("Trust the data key %v for %s?", o.id, s.Keys.Place())
		if o.forget {
			question = "Forget the data key of " + s.Keys.Place() + "? The next one that is seen there is trusted."
		}
		if !o.yes {
			if err := a.confirm(ctx, question); err != nil {
				return err
			}
		}
		if o.forget {
			if err := s.Forget(); err != nil {
				return err
			}
			return a.print(map[string]bool{"forgotten": true}, noText)
		}
		if err := s.Trust(ctx, o.id); err != nil {
			return err
		}
		return a.print(map[string]string{"trusted": o.id.String()}, noText)
	})
}
