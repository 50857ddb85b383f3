package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type listOptions struct {
	filter nebula.Filter
	long   bool
	verify bool
	due    bool
}

func listCommand(run func(context.Context, listOptions) error) *cobra.Command {
	var o listOptions
	var tags []string
	var after, before string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the ids of credentials",
		Long: `List ids, sorted, one on each line. Without flags, list reads names only. If it
has to read a record and cannot, it shows the id and ends with exit code 5.`,
		Example: `  nebula list
  nebula list --prefix github_ --tag env=prod
  nebula list --long --due
  nebula list --verify -o json`,
		Annotations:       map[string]string{slow: toVerifyOnly},
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.filter.Tags, err = parseTags(tags); err != nil {
				return err
			}
			if o.filter.CreatedAfter, err = parseTime("--created-after", after); err != nil {
				return err
			}
			if o.filter.CreatedBefore, err = parseTime("--created-before", before); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&tags, "tag", "t", nil, "only those with the tag `key=value`; may be repeated, all must match")
	flags.StringVar(&o.filter.Prefix, "prefix", "", "only ids that begin with `P`")
	flags.StringVar(&after, "created-after", "", "only those made after `T`: a time, or a date (UTC)")
	flags.StringVar(&before, "created-before", "", "only those made before `T`")
	flags.BoolVarP(&o.long, "long", "l", false, "show times, rotation and tags")
	flags.BoolVar(&o.verify, "verify", false, "open each record and show those that are not authentic")
	flags.BoolVar(&o.due, "due", false, "only those whose rotation is due")
	return cmd
}

type entryJSON struct {
	ID       nebula.ID      `json:"id"`
	Version  nebula.Version `json:"version,omitempty"`
	Metadata *metadataJSON  `json:"metadata,omitempty"`
	Error    *failure       `json:"error,omitempty"`
}

func (a *app) list(ctx context.Context, o listOptions) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		entries, err := a.collect(ctx, s, o)
		if err != nil {
			return err
		}
		if err := a.printEntries(entries, o); err != nil {
			return err
		}
		return unreadable(entries)
	})
}

// collect returns the entries that match, sorted.
func (a *app) collect(ctx context.Context, s *config.Opened, o listOptions) ([]nebula.Entry, error) {
	options := nebula.ListOptions{Filter: o.filter, Details: o.long || o.due, Verify: o.verify}
	entries := []nebula.Entry{}
	shown, listed := a.progress("listing", -1), 0
	defer shown.end()
	for e, err := range s.List(ctx, options) {
		if errors.Is(err, nebula.ErrNotInitialised) {
			a.warn("the store is not initialised: " + s.Keys.Place())
			break
		}
		if err != nil {
			return nil, err
		}
		listed++
		shown.note(e.Err)
		shown.set(listed)
		if o.due && e.Err == nil && !isDue(e, a.now()) {
			continue
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y nebula.Entry) int { return cmp.Compare(x.ID, y.ID) })
	return entries, nil
}

func isDue(e nebula.Entry, now time.Time) bool {
	if e.Metadata == nil {
		return false
	}
	at, ok := e.Metadata.DueAt()
	return ok && !now.Before(at)
}

func (a *app) printEntries(entries []nebula.Entry, o listOptions) error {
	if a.global.output == outputJSON {
		out := make([]entryJSON, 0, len(entries))
		for _, e := range entries {
			out = append(out, a.entryOf(e))
		}
		return outputError(writeJSON(a.stdout, out))
	}
	return a.print(nil, func(w io.Writer) error {
		rows := make([][]string, 0, len(entries)+1)
		if o.long && len(entries) > 0 {
			rows = append(rows, []string{"ID", "MODIFIED", "CREATED", "ROTATION", "TAGS"})
		}
		for _, e := range entries {
			rows = append(rows, a.row(e, o))
		}
		if !o.long {
			for _, row := range rows {
				fmt.Fprintln(w, escape(row[0]))
			}
			return nil
		}
		return a.table(w, rows)
	})
}

func (a *app) entryOf(e nebula.Entry) entryJSON {
	if e.Err != nil {
		f := a.failureOf(e.Err)
		return entryJSON{ID: e.ID, Error: &f}
	}
	out := entryJSON{ID: e.ID, Version: e.Version}
	if e.Metadata != nil {
		out.Metadata = metadataOf(*e.Metadata)
	}
	return out
}

// row is an entry as a line. If a record cannot be read, standard error explains
// why.
func (a *app) row(e nebula.Entry, o listOptions) []string {
	if e.Err != nil {
		f := a.failureOf(e.Err)
		a.warn(fmt.Sprintf("%s cannot be read: %s", e.ID, f.Message))
		return []string{string(e.ID), "unreadable: " + string(f.Kind)}
	}
	if !o.long || e.Metadata == nil {
		return []string{string(e.ID)}
	}
	m := e.Metadata
	const layout = "2006-01-02 15:04"
	return []string{string(e.ID), m.LastModified.UTC().Format(layout), m.CreatedAt.UTC().Format(layout), rotation(e, a.now()), tagText(m.Tags)}
}

func rotation(e nebula.Entry, now time.Time) string {
	at, ok := e.Metadata.DueAt()
	switch {
	case !ok:
		return "-"
	case isDue(e, now):
		return "due since " + at.UTC().Format(time.DateOnly)
	}
	return "due " + at.UTC().Format(time.DateOnly)
}

func tagText(tags map[string]string) string {
	var pairs []string
	for key, value := range tags {
		pairs = append(pairs, key+"="+value)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

// unreadable returns an error if some records could not be read. It has the
// most telling kind.
func unreadable(entries []nebula.Entry) error { return unreadableOf("list", entries, len(entries)) }

// unreadableOf says how many of the records an operation could not read.
func unreadableOf(op string, entries []nebula.Entry, total int) error {
	var kind nebula.Kind
	n := 0
	for _, e := range entries {
		if e.Err == nil {
			continue
		}
		n++
		if found := nebula.KindOf(e.Err); kind == "" || exitCode(kind) != 5 && exitCode(found) == 5 {
			kind = found
		}
	}
	if n == 0 {
		return nil
	}
	return &nebula.Error{Kind: kind, Op: op, Message: fmt.Sprintf("%d of %d records cannot be read", n, total),
		Hint: "try one with: nebula get ID"}
}
