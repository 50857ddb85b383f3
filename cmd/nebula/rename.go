package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/transfer"
)

type renameOptions struct {
	old, new  nebula.ID
	overwrite bool
	keep      bool // the old one
}

func mvCommand(run func(context.Context, renameOptions) error) *cobra.Command {
	return renameCommand(&cobra.Command{
		Use:     "mv OLD NEW",
		Aliases: []string{"move", "rename"},
		Short:   "Give a credential another id",
		Long: `Give a credential another id. Tags, times and rotation stay. It is sealed anew
under the new id and read back. Then the old one is deleted, if nobody has
changed it meanwhile. If mv was interrupted, run it again.

If there is a credential with the new id, it is replaced only with --overwrite.
For another store use nebula copy --move.`,
		Example: `  nebula mv gthub_token github_token
  nebula mv github_token_new github_token --overwrite`,
	}, renameOptions{}, run)
}

func cpCommand(run func(context.Context, renameOptions) error) *cobra.Command {
	return renameCommand(&cobra.Command{
		Use:   "cp OLD NEW",
		Short: "Copy a credential to another id in the same store",
		Long: `Copy a credential to another id in the same store, with its tags, times and
rotation. If there is a credential with the new id, it is replaced only with
--overwrite. For another store use nebula copy.`,
		Example: `  nebula cp github_token github_token_before
  nebula cp staging_db prod_db --overwrite`,
	}, renameOptions{keep: true}, run)
}

func renameCommand(cmd *cobra.Command, o renameOptions, run func(context.Context, renameOptions) error) *cobra.Command {
	cmd.Annotations = map[string]string{slow: "always"}
	cmd.Flags().BoolVar(&o.overwrite, "overwrite", false, "replace a credential that has the new id")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		return count(cmd, args, len(args) == 2, "an old id and a new one")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.old, err = parseID(args[0]); err != nil {
			return err
		}
		if o.new, err = parseID(args[1]); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func (a *app) rename(ctx context.Context, o renameOptions) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		version, err := transfer.Rename(ctx, s.Store, o.old, o.new, transfer.RenameOptions{Overwrite: o.overwrite, Keep: o.keep})
		if err != nil {
			return err
		}
		verb := "moved"
		if o.keep {
			verb = "copied"
		}
		a.done(fmt.Sprintf("%s %s to %s", verb, o.old, o.new))
		return a.print(renamedJSON{From: o.old, ID: o.new, Version: version}, func(io.Writer) error { return nil })
	})
}

type renamedJSON struct {
	From    nebula.ID      `json:"from"`
	ID      nebula.ID      `json:"id"`
	Version nebula.Version `json:"version"`
}
