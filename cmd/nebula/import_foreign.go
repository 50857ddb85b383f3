package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/dotenv"
	"github.com/nebula-credential/nebula/takeover"
)

// foreignOptions are the options for secrets that are kept elsewhere, in clear
// or under another program's key.
type foreignOptions struct {
	idPrefix string
	foldCase bool
	mapFile  string
	tagText  []string
	tags     map[string]string

	dialect string
	fields  bool
	whole   bool
	via     string
}

func (o *foreignOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.idPrefix, "id-prefix", "", "for a foreign source: put `P` before each name")
	flags.BoolVar(&o.foldCase, "fold-case", false, "for a foreign source: ids in lower case")
	flags.StringVar(&o.mapFile, "map", "", `of a foreign source: ids for single names from `+"`file`"+`, in TOML: "name" = "id"; "" leaves one out`)
	flags.StringArrayVarP(&o.tagText, "tag", "t", nil, "for a foreign source: set a tag, `key=value`; may be repeated")
	flags.StringVar(&o.dialect, "dialect", "", "for dotenv: read it by the rules of `T`: "+strings.Join(dotenv.Readers(), ", "))
	flags.BoolVar(&o.fields, "fields", false, "members of objects, and keys of Secrets, become credentials")
	flags.BoolVar(&o.whole, "whole", false, "for pass: all lines; for sops and ansible-vault: the file as one credential")
	flags.StringVar(&o.via, "via", "", "for a backend: use the login of the store or provider `P`")
	_ = cmd.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions(dotenv.Readers(), cobra.ShellCompDirectiveNoFileComp))
}

// check refuses flags that the source does not take.
func (o *foreignOptions) check(cmd *cobra.Command, scheme string) (err error) {
	given := cmd.Flags().Changed
	source, foreign := foreignSources()[scheme]
	for _, flag := range []string{"reseal", "key-id", "yes"} {
		if foreign && given(flag) {
			return usage("--"+flag+" goes with a sealed export", "see: nebula import --help")
		}
	}
	for _, flag := range []string{"id-prefix", "fold-case", "map", "tag"} {
		if !foreign && given(flag) {
			return usage("--"+flag+" goes with a foreign source, and not with a sealed export", "sources: "+strings.Join(schemes(), ", ")+"; see: nebula import --help")
		}
	}
	for _, flag := range []string{"dialect", "fields", "whole", "via"} {
		if given(flag) && !slices.Contains(source.takes, flag) {
			return usage("--"+flag+" does not go with this source", "see: nebula import --help")
		}
	}
	switch {
	case given("dialect") && !slices.Contains(dotenv.Readers(), o.dialect):
		return usage("--dialect "+shorten(o.dialect)+": there is no such reader of dotenv", "one of "+strings.Join(dotenv.Readers(), ", "))
	case given("via") && o.via == "":
		return usage("--via is empty", "the name of a store or of a provider")
	case o.fields && o.whole:
		return usage("--fields and --whole exclude each other", "")
	case given("map") && o.mapFile == "":
		return usage("--map is empty", "")
	case config.LooksLikeKey(o.mapFile):
		return keyForPath("--map")
	}
	o.tags, err = parseTags(o.tagText)
	return err
}

func schemes() []string { return slices.Sorted(maps.Keys(foreignSources())) }

// cutScheme takes a source apart. A source without a known scheme is a file, as is
// ./dotenv:x.
func cutScheme(source string) (scheme, rest string) {
	scheme, rest, _ = strings.Cut(source, ":")
	if _, foreign := foreignSources()[scheme]; !foreign {
		return "", source
	}
	return scheme, rest
}

// readForeign reads a file, or standard input.
func (a *app) readForeign(ctx context.Context, path string) ([]byte, error) {
	const limit = 64 << 20
	if path == "-" && a.stdinIsTerminal {
		return nil, usage("standard input is a terminal", "give the file: nebula import SCHEME:F")
	}
	defer a.pause()()
	text, err := within(ctx, func() ([]byte, error) {
		if path == "-" {
			return readLimited(a.stdin, limit)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readLimited(f, limit)
	})
	var told *nebula.Error
	switch {
	case errors.Is(err, errTooMuch):
		return nil, &nebula.Error{Kind: nebula.ErrTooLarge, Op: "import", Message: fmt.Sprintf("%s has more than %d bytes", path, limit)}
	case errors.As(err, &told):
		err = told.Err // which is about a value that is put
	}
	if err != nil && ctx.Err() == nil {
		return nil, sourceError(path, err)
	}
	return text, err
}

func (o foreignOptions) naming() (takeover.Naming, error) {
	n := takeover.Naming{Prefix: o.idPrefix, FoldCase: o.foldCase}
	if o.mapFile == "" {
		return n, nil
	}
	text, err := os.ReadFile(o.mapFile)
	if err != nil {
		return n, usage("--map "+o.mapFile+": "+atomicfile.Reason(err), "")
	}
	n.Map, err = takeover.ParseMap(text)
	return n, err
}

// takeOver stores the secrets of a foreign source. It reads, names and compares
// all of them first.
func (a *app) takeOver(ctx context.Context, o importOptions, scheme, rest string) error {
	source := foreignSources()[scheme]
	if rest == "" && !source.all {
		return usage(scheme+": names no source", "see: nebula import --help")
	}
	n, err := o.foreign.naming()
	if err != nil {
		return err
	}
	found, err := source.read(ctx, a, rest, o.foreign)
	if err != nil {
		return err
	}
	plan := takeover.NewPlan(found.Secrets, n)
	defer plan.Wipe()
	for _, note := range found.Notes {
		a.warn(note)
	}
	for _, name := range plan.Unmatched {
		a.warn("--map has " + shorten(name) + ", which the source does not have")
	}
	if err := plan.NameError(); err != nil && !o.dryRun {
		return err
	}
	if len(plan.Items) == 0 && source.backend() {
		return &nebula.Error{Kind: nebula.ErrNotFound, Op: "import", Message: "there is nothing to take over at " + shorten(o.source)}
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		if err := plan.Compare(ctx, s.Store); err != nil {
			return err
		}
		var stopped error
		if !o.dryRun {
			stopped = a.runPlan(ctx, s, plan, o)
		}
		return firstError(a.printTaken(plan, o), a.endOfPlan(plan, o, stopped))
	})
}

func (a *app) runPlan(ctx context.Context, s *config.Opened, plan *takeover.Plan, o importOptions) error {
	a.allowSlowStore(s.Describe())
	bar := a.progress("importing", len(plan.Items))
	defer bar.end()
	return plan.Run(ctx, s.Store, takeover.Options{Tags: o.foreign.tags, Overwrite: o.overwrite, Jobs: s.MaxConcurrency,
		Progress: func(done, _ int) { bar.set(done) }})
}
