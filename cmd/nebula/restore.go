package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func restoreCommand(run func(context.Context, selection, verb) error) *cobra.Command {
	return verbCommand(run, verb{name: "restore", participle: "restored", gerund: "restoring", do: restoreOne}, false, &cobra.Command{
		Use:   "restore ID…",
		Short: "Bring back deleted credentials",
		Long: `Bring back deleted credentials, where the backend keeps them. Where there is a
live one of that id, nothing is changed (7). Those of which there is nothing to
bring back are named, which is no error.`,
		Example: `  nebula restore github_token`,
		Args:    someIDs,
	})
}

func restoreOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	return ifThere(s.Restore(ctx, id))
}

// ifThere reports whether there was something to do a verb to, if err is of one
// that fails otherwise.
func ifThere(err error) (existed bool, _ error) {
	if errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised) {
		return false, nil
	}
	return err == nil, err
}
