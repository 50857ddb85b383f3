package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// selection says which credentials a command works on: those that are named, or
// those that a filter finds.
type selection struct {
	ids    []nebula.ID
	all    bool
	filter nebula.Filter
	yes    bool
	dryRun bool
}

// byName reports whether the credentials are named.
func (s selection) byName() bool { return len(s.ids) > 0 }

// nameFlags adds the flags of a selection of named credentials and returns a
// function that reads them.
func nameFlags(cmd *cobra.Command) func(args []string) (selection, error) {
	var s selection
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "only show the ids")
	return func(args []string) (_ selection, err error) {
		s.ids, err = parseIDs(args)
		return s, err
	}
}

// selectionFlags adds the flags of a selection and returns a function that reads
// them. With asks there is a flag that spares the question.
func selectionFlags(cmd *cobra.Command, verb string, asks bool) func(args []string) (selection, error) {
	var s selection
	var tags []string
	flags := cmd.Flags()
	flags.BoolVar(&s.all, "all", false, verb+" every credential")
	flags.StringVar(&s.filter.Prefix, "prefix", "", verb+" the ids that begin with `P`")
	flags.StringArrayVarP(&tags, "tag", "t", nil, verb+" those with the tag `key=value`; may be repeated, all must match")
	flags.BoolVar(&s.dryRun, "dry-run", false, "only show the ids")
	if asks {
		flags.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	}
	return func(args []string) (selection, error) {
		var err error
		if s.ids, err = parseIDs(args); err != nil {
			return s, err
		}
		if s.filter.Tags, err = parseTags(tags); err != nil {
			return s, err
		}
		filtered := s.filter.Prefix != "" || len(tags) > 0
		switch {
		case flags.Changed("prefix") && s.filter.Prefix == "":
			// Probably a variable that is not set.
			return s, usage("--prefix is empty", "for every credential: --all")
		case len(args) > 0 && (s.all || filtered):
			return s, usage("ids are named or selected by flags, not both", "")
		case s.all && filtered:
			return s, usage("--all excludes --prefix and --tag", "")
		case len(args) == 0 && !s.all && !filtered:
			return s, usage("which credentials?", "name ids, or take --prefix, --tag or --all")
		}
		return s, nil
	}
}

// resolve returns the selected ids. If a record had to be read to match a tag
// and cannot be read, it is left alone, which is an error in the end.
func (a *app) resolve(ctx context.Context, store *config.Opened, s selection) (ids []nebula.ID, skipped, err error) {
	if s.byName() {
		return s.ids, nil, nil
	}
	entries, err := a.collect(ctx, store, listOptions{filter: s.filter})
	if err != nil {
		return nil, nil, err
	}
	ids = []nebula.ID{}
	for _, e := range entries {
		if e.Err != nil {
			a.warn(fmt.Sprintf("%s cannot be read and is left alone: %s", e.ID, a.failureOf(e.Err).Message))
			continue
		}
		ids = append(ids, e.ID)
	}
	return ids, unreadable(entries), nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// printIDs writes one id a line, or {"name":[ids]}.
func (a *app) printIDs(name string, ids []nebula.ID) error {
	return a.print(map[string][]nebula.ID{name: ids}, func(w io.Writer) error {
		for _, id := range ids {
			fmt.Fprintln(w, escape(string(id)))
		}
		return nil
	})
}

// question names the credentials, as far as they fit.
func question(verb string, ids []nebula.ID, place string) string {
	return fmt.Sprintf("%s %s from %s (%s)?", strings.ToUpper(verb[:1])+verb[1:], plural(len(ids)), place, joinIDs(ids))
}

func plural(n int) string {
	if n == 1 {
		return "1 credential"
	}
	return fmt.Sprintf("%d credentials", n)
}
