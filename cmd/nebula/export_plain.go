package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/dotenv"
	"github.com/nebula-credential/nebula/internal/plain"
	"github.com/nebula-credential/nebula/internal/process"
)

// plainOptions are those of an export in clear.
type plainOptions struct {
	plain  bool
	format string
	target string // reader of dotenv
	name   string // of a Secret
	trim   bool
	yes    bool
}

// The formats of an export in clear.
const (
	formatJSON       = "json"
	formatDotenv     = "dotenv"
	formatShell      = "shell"
	formatKubernetes = "kubernetes"
)

func plainFormats() []string {
	return []string{formatDotenv, formatJSON, formatKubernetes, formatShell}
}

func (o *plainOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.plain, "plain", false, "write the values in clear, for other programs; import --help says how to take them back")
	flags.StringVar(&o.format, "format", formatJSON, "with --plain, `F`: "+strings.Join(plainFormats(), ", "))
	flags.StringVar(&o.target, "for", "", "with --format dotenv, the reader `T`: "+strings.Join(dotenv.Readers(), ", ")+"; by default, a form that nine of them read alike")
	flags.StringVar(&o.name, "name", "nebula", "with --format kubernetes, the `NAME` of the Secret")
	flags.BoolVar(&o.trim, "trim", false, "with --plain, cut one newline at the end of each value, as run does")
	flags.BoolVarP(&o.yes, "yes", "y", false, "with --plain, show the values on a terminal")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(plainFormats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(dotenv.Readers(), cobra.ShellCompDirectiveNoFileComp))
}

func (o *plainOptions) wanted() bool { return o.plain }

// check refuses flags that make no sense together.
func (o *plainOptions) check(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	for _, flag := range []string{"format", "for", "name", "trim", "yes"} {
		if given(flag) && !o.plain {
			return usage("--"+flag+" goes with --plain, which writes the values in clear", "")
		}
	}
	switch {
	case !slices.Contains(plainFormats(), o.format):
		return usage("--format "+shorten(o.format)+": there is no such format", "one of "+strings.Join(plainFormats(), ", "))
	case given("for") && o.format != formatDotenv:
		return usage("--for goes with --format dotenv", "")
	case given("for") && !slices.Contains(dotenv.Readers(), o.target):
		return usage("--for "+shorten(o.target)+": there is no such reader of dotenv", "one of "+strings.Join(dotenv.Readers(), ", "))
	case given("name") && o.format != formatKubernetes:
		return usage("--name goes with --format kubernetes", "")
	}
	return nil
}

func (a *app) exportPlain(ctx context.Context, o exportOptions) error {
	if o.out == "" && a.stdoutIsTerminal && !o.plain.yes && !o.selection.dryRun {
		return usage("the values would be shown on the terminal", "write a file with --out F, or show them with --yes")
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		ids, skipped, err := a.resolve(ctx, s, o.selection)
		if err != nil {
			return err
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		if o.selection.dryRun {
			return firstError(a.printIDs("would_export", ids), skipped)
		}
		return firstError(a.exportIDs(ctx, s, ids, o), skipped)
	})
}

func (a *app) exportIDs(ctx context.Context, s *config.Opened, ids []nebula.ID, o exportOptions) error {
	names, err := exportNames(ids, o)
	if err != nil {
		return err
	}
	entries, err := a.readPlain(ctx, s, ids, names, o)
	defer func() {
		for _, e := range entries {
			clear(e.Value)
		}
	}()
	if err != nil {
		return err
	}
	text, misread, err := o.plain.write(entries)
	if err != nil {
		return err
	}
	defer clear(text)
	if o.out == "" {
		_, err = a.stdout.Write(text)
		err = outputError(err)
	} else {
		err = writeFile(o.out, func(f atomicfile.Filling) error {
			_, err := f.Write(text)
			return err
		})
	}
	if err != nil {
		return err
	}
	return a.printPlain(len(entries), misread, o)
}

// exportNames returns the names of variables for the ids, as run --prefix makes
// them; JSON keeps the ids.
func exportNames(ids []nebula.ID, o exportOptions) ([]string, error) {
	names := make([]string, len(ids))
	taken := make(map[string]nebula.ID, len(ids))
	for i, id := range ids {
		if names[i] = string(id); o.plain.format == formatJSON {
			continue
		}
		name := variableName(strings.TrimPrefix(string(id), o.selection.filter.Prefix))
		other, collides := taken[name]
		switch {
		case !isVariableName(name):
			return nil, usage(fmt.Sprintf("%s makes no name of a variable", id), "take another --prefix, leave it out, or choose --format json, which keeps ids")
		case process.IsObeyed(name):
			return nil, usage(fmt.Sprintf("%s would set %s, which shells, loaders or interpreters obey", id, name),
				"take another --prefix, leave it out, or choose --format json, which keeps ids")
		case collides:
			return nil, usage(fmt.Sprintf("both %s and %s would set %s", other, id, name), "leave one of them out, or choose --format json, which keeps ids")
		}
		names[i], taken[name] = name, id
	}
	return names, nil
}

// readPlain reads all credentials, or fails and names those that it cannot.
func (a *app) readPlain(ctx context.Context, s *config.Opened, ids []nebula.ID, names []string, o exportOptions) (entries []plain.Entry, err error) {
	const atOnce = 100
	bar := a.progress("reading", len(ids))
	defer bar.end()
	var failed failures
	for from := 0; from < len(ids) && !failed.ofBackend(); from += atOnce {
		part := ids[from:min(from+atOnce, len(ids))]
		for i, got := range s.GetMany(ctx, part) {
			if got.Err != nil {
				failed.add(a, string(part[i]), got.Err)
				continue
			}
			entries = append(entries, plain.Entry{Name: names[from+i], Value: o.plain.cut(got.Secret.Reveal())})
		}
		bar.set(from + len(part))
	}
	return entries, failed.err("export", fmt.Sprintf("%d of %d credentials cannot be read, and nothing was exported", len(failed.lines), len(ids)))
}

func (o *plainOptions) cut(value []byte) []byte {
	if o.trim {
		value = config.TrimLine(value)
	}
	return value
}

// ofBackend reports whether the first failure concerns the backend, so that
// others will fail too.
func (f *failures) ofBackend() bool {
	switch nebula.KindOf(f.first) {
	case nebula.ErrUnavailable, nebula.ErrTimeout, nebula.ErrUnauthenticated, nebula.ErrInterrupted:
		return true
	}
	return false
}

func (o *plainOptions) write(entries []plain.Entry) (text []byte, misread []dotenv.Misread, err error) {
	switch o.format {
	case formatJSON:
		text, err = plain.JSON(entries)
	case formatShell:
		text, err = plain.Shell(entries)
	case formatKubernetes:
		text, err = plain.Kubernetes(o.name, entries)
	default:
		variables := make([]dotenv.Variable, len(entries))
		for i, e := range entries {
			variables[i] = dotenv.Variable{Name: e.Name, Value: string(e.Value)}
		}
		var written string
		written, misread, err = dotenv.Write(variables, o.target)
		text = []byte(written)
	}
	return text, misread, err
}

type plainJSON struct {
	Out         string        `json:"out"`
	Format      string        `json:"format"`
	Credentials int           `json:"credentials"`
	Misread     []misreadJSON `json:"misread,omitempty"`
}

type misreadJSON struct {
	Reader  string   `json:"reader"`
	Names   []string `json:"names"`
	Refused bool     `json:"refused"`
}

func (a *app) printPlain(n int, misread []dotenv.Misread, o exportOptions) error {
	if len(misread) > 0 {
		a.warn(misreadText(misread))
	}
	if a.global.output == outputJSON {
		out := plainJSON{Out: o.out, Format: o.plain.format, Credentials: n}
		for _, m := range misread {
			out.Misread = append(out.Misread, misreadJSON(m))
		}
		return outputError(writeJSON(a.stdout, out))
	}
	text := fmt.Sprintf("exported %s in clear", plural(n))
	if o.out != "" {
		text += ", to " + o.out
	}
	a.tell(text)
	return nil
}

// misreadText says which readers misread which values.
func misreadText(misread []dotenv.Misread) string {
	var clauses []string
	for _, m := range misread {
		const most = 10
		names := m.Names
		if more := len(names) - most; more > 0 {
			names = append(names[:most:most], fmt.Sprintf("%d more", more))
		}
		does := "misreads"
		if m.Refused {
			does = "refuses the file because of"
		}
		clauses = append(clauses, m.Reader+" "+does+" "+strings.Join(names, ", "))
	}
	return strings.Join(clauses, "; ") + "; to write it for one reader: --for T"
}
