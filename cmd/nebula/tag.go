package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type tagOptions struct {
	id       nebula.ID // "" if they are selected
	selected selection
	set      map[string]string
	remove   []string
}

func tagCommand(run func(context.Context, tagOptions) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tag ID key=value… key-…",
		Short: "Set and remove tags",
		Long: `Set tags with key=value and remove them with key-. The value of the credential
stays. Tags are not secret: the backend can read them.

With --all, --prefix or --tag there is no id: every argument is a change, of
each credential that is selected.`,
		Example: `  nebula tag github_token env=prod team=web
  nebula tag github_token env-
  nebula tag --prefix ci_ team=platform
  nebula tag --tag team=old team=new`,
	}
	selected := selectionFlags(cmd, "change", false)
	selects := func() bool {
		flags := cmd.Flags()
		return flags.Changed("all") || flags.Changed("prefix") || flags.Changed("tag")
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if selects() {
			return count(cmd, args, len(args) >= 1, "at least one change")
		}
		return count(cmd, args, len(args) >= 2, "an id and at least one tag")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var o tagOptions
		if selects() {
			o.selected, err = selected(nil)
		} else if o.id, err = parseID(args[0]); err == nil {
			o.selected.dryRun, _ = cmd.Flags().GetBool("dry-run")
			args = args[1:]
		}
		if err != nil {
			return err
		}
		if o.set, o.remove, err = parseTagChanges(args); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func (a *app) tag(ctx context.Context, o tagOptions) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		switch {
		case o.id == "":
			return a.tagSelected(ctx, s, o)
		case o.selected.dryRun:
			return a.printIDs("would_tag", []nebula.ID{o.id})
		}
		v, err := s.Tag(ctx, o.id, o.set, o.remove)
		if err != nil {
			return err
		}
		a.done("tagged " + string(o.id))
		return a.printVersion(o.id, v)
	})
}

func (a *app) tagSelected(ctx context.Context, s *config.Opened, o tagOptions) error {
	ids, skipped, err := a.resolve(ctx, s, o.selected)
	if err != nil {
		return err
	}
	if o.selected.dryRun {
		return firstError(a.printIDs("would_tag", ids), skipped)
	}
	// Ask for the passphrase once, before some run at once.
	if err := s.Unlock(ctx); err != nil {
		return err
	}
	tagged := verb{name: "tag", participle: "tagged", gerund: "tagging", writes: true,
		do: func(ctx context.Context, s *config.Opened, id nebula.ID) (bool, error) {
			_, err := s.Tag(ctx, id, o.set, o.remove)
			return ifThere(err) // it may have been deleted since it was listed
		}}
	return firstError(a.overMany(ctx, s, ids, tagged), skipped)
}
