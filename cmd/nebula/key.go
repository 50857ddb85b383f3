package main

import (
	"github.com/spf13/cobra"
)

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Show and change the keys that open the store", `A store has a data key, under which its credentials are sealed, and slots: each
holds the data key, wrapped by a passphrase, a key file, or something else that
keeps a secret.`, `  nebula key list
  nebula key add --passphrase
  nebula key remove abcd2345
  nebula key rotate`,
		keyListCommand(a.keyList), keyAddCommand(a.keyAdd), keyLabelCommand(a.keyLabel), keyRemoveCommand(a.keyRemove),
		keyRotateCommand(a.keyRotate), keyTrustCommand(a.keyTrust), keyDestroyCommand(a.keyDestroy))
}

// holds marks a command that only holds others.
const holds = "holds"

// group is a command that only holds others.
func group(name, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:     name,
		Short:   short,
		Long:    long,
		Example: example,
		Args:    noCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		Annotations: map[string]string{holds: "others"},
	}
	cmd.AddCommand(commands...)
	return cmd
}
