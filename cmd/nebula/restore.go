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
		Long: `Bring back deleted credentials, if the backend keeps them. If there is a live
credential with that id, restore changes nothing and ends with exit code 7. It
names the ids that it finds nothing for, which is no error.`,
		Example: `  nebula restore github_token`,
		Args:    someIDs,
	})
}

func restoreOne(ctx context.Context, s *config.Opened, id nebula.ID) (existed bool, err error) {
	return ifThere(s.Restore(ctx, id))
}

// ifThere reports whether there was a credential for the verb. err is the error
// of a verb that fails if there is none.
func ifThere(err error) (existed bool, _ error) {
	if errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised) {
		return false, nil
	}
	return err == nil, err
}
