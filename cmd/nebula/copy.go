package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/transfer"
)

type copyOptions struct {
	from, to  string
	selection selection
	overwrite bool
	move      bool
	reseal    bool
	drop      []string
	jobs      int // 0: as the stores allow
	yes       bool
}

func (a *app) copyCommand(run func(context.Context, copyOptions) error) *cobra.Command {
	var o copyOptions
	cmd := &cobra.Command{
		Use:   "copy --from P --to P [ID…]",
		Short: "Copy or move credentials between two stores",
		Long: `Copy credentials from one store to another as they are sealed, with their tags
and times. P is the name of a store in the configuration, or the name of a
provider, which means [storage] with that provider.

Nebula looks at everything before it writes anything, and reads each copy back.
It leaves credentials that are at the destination and differ, unless you give
--overwrite. If a copy was stopped, run it again: it skips what is there. --move
deletes each credential at the source after its copy was read back, and only if
nobody has changed it meanwhile.

A destination that is not initialised receives the keyring of the source, so
that the same keys open both. A destination with another data key needs
--reseal, which opens each credential in memory and seals it under that key. A
dry run shows what would happen to each credential, and its exit code is 0.`,
		Example: `  nebula copy --from default --to vault --all --dry-run
  nebula copy --from default --to vault --all
  nebula copy --from vault --to work github_token --move
  nebula copy --from work --to partner --tag share=yes --reseal`,
		Annotations: map[string]string{slow: unlimited},
	}
	selected := selectionFlags(cmd, "copy", false)
	flags := cmd.Flags()
	flags.Lookup("dry-run").Usage = "only show what would happen to each"
	flags.StringVar(&o.from, "from", "", "copy from the store or provider `P`")
	flags.StringVar(&o.to, "to", "", "copy to the store or provider `P`")
	flags.BoolVar(&o.overwrite, "overwrite", false, "write over credentials that differ")
	flags.BoolVar(&o.move, "move", false, "delete each at the source after its copy was read back")
	flags.BoolVar(&o.reseal, "reseal", false, "seal each under the data key of the destination")
	flags.StringArrayVar(&o.drop, "drop", nil, "leave the `SLOT` behind if the keyring is copied; may be repeated")
	flags.IntVar(&o.jobs, "jobs", 0, "`N` credentials at once; by default max_concurrency of the stores, and more into files")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask, before credentials that flags select are moved, or an older keyring is accepted")
	for _, side := range []string{"from", "to"} {
		_ = cmd.RegisterFlagCompletionFunc(side, a.completeStores)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		given := func(flag string) bool { return flags.Changed(flag) }
		switch {
		case !given("from") && !given("to"):
			return usage("copy takes two stores, with --from and --to", "within a store: nebula cp OLD NEW")
		case o.from == "" || o.to == "":
			return usage("copy needs both, --from and --to", "the one that [storage] describes is called default")
		case given("store"):
			return usage("copy takes its stores from --from and --to, not from --store", "")
		case given("jobs") && (o.jobs < 1 || o.jobs > 256):
			return usage("--jobs must be a number from 1 to 256", "")
		}
		if o.selection, err = selected(args); err != nil {
			return err
		}
		if o.asksToMove() && !a.stdinIsTerminal {
			return usage("copy --move with --all, --prefix or --tag needs --yes if there is no terminal to ask at", "to see what it would take: --dry-run")
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// asksToMove reports whether to ask a person before anything is deleted at the
// source. If credentials are named, they are meant.
func (o copyOptions) asksToMove() bool {
	return o.move && !o.selection.byName() && !o.selection.dryRun && !o.yes
}

// completeStores lists the names for --from and --to.
func (a *app) completeStores(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := a.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.Sides(), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) copy(ctx context.Context, o copyOptions) (err error) {
	a.global.store = "" // NEBULA_STORE names neither of the two
	c, err := config.Load(config.Source{File: a.global.config, Environ: a.environ, Between: []string{o.from, o.to}})
	if err != nil {
		return err
	}
	from, to, err := c.OpenBetween(ctx, o.from, o.to, a.options())
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, from.Close(), to.Close()) }()
	if isMemory(from) || isMemory(to) {
		return usage(memoryEnds+": what is copied there would be lost", "")
	}
	return a.ofSide(c, from, to, a.copyBetween(ctx, from, to, o))
}

func (a *app) copyBetween(ctx context.Context, from, to *config.Opened, o copyOptions) error {
	shown := a.progress("looking at", -1)
	defer func() { shown.end() }()
	options := transfer.Options{Overwrite: o.overwrite, Move: o.move, Reseal: o.reseal, Drop: o.drop, OlderKeyring: o.yes,
		Jobs: o.jobs, Filter: o.selection.filter}
	options.Progress = func(p transfer.Progress) { shown.is(p.Done, p.Total, p.Bytes, p.LastError) }
	if o.selection.byName() {
		options.IDs = o.selection.ids
	}
	plan, err := transfer.NewPlan(ctx, from.Store, to.Store, options)
	shown.end()
	if errors.Is(err, nebula.ErrRolledBack) && transfer.AtDestination(err) && !o.yes {
		if err = a.acceptOlder(ctx, err); err == nil {
			o.yes = true
			return a.copyBetween(ctx, from, to, o)
		}
	}
	if err != nil {
		return err
	}
	if o.selection.dryRun {
		return a.printPlan(plan, to, o)
	}
	a.tellKeyring(plan, to)
	if ids := plan.Leaving(); o.asksToMove() && len(ids) > 0 {
		if err := a.confirm(ctx, question("move", ids, from.Keys.Place()+" to "+to.Keys.Place())); err != nil {
			return err
		}
	}
	doing := "copying"
	if o.move {
		doing = "moving"
	}
	shown = a.progress(doing, len(plan.Items))
	report, err := plan.Run(ctx)
	shown.end()
	return firstError(a.printCopy(report, from, to, o, err), a.endOfCopy(report, o, err))
}

// ofSide makes the commands in a hint work on the store of the failure.
func (a *app) ofSide(c *config.Config, from, to *config.Opened, err error) error {
	var e *nebula.Error
	side := from
	if transfer.AtDestination(err) {
		side = to
	} else if !transfer.AtSource(err) {
		return err
	}
	if !errors.As(err, &e) {
		return err
	}
	a.global.where = side.Keys.Where()
	if c.HasStore(side.Name) {
		a.global.store = side.Name
		return err
	}
	chosen := *e
	chosen.Hint = strings.ReplaceAll(chosen.Hint, "nebula ", "NEBULA_STORAGE_PROVIDER="+side.Name+" nebula ")
	return &chosen
}
