package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/transfer"
)

type exportOptions struct {
	selection selection
	out       string // "" is standard output
	plain     plainOptions
}

func exportCommand(run func(context.Context, exportOptions) error) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export [ID…]",
		Short: "Write credentials to a file, sealed as they are, or in clear",
		Long: `Write the keyring and the records of the store to a file, sealed as they are.
export needs no key, and the file has none. This is how to make a backup. import
reads the file on any machine that has a key or passphrase of the store. If the
store has another data key than the one that is known here, export ends with
exit code 5, unless a key at hand shows that a rotation replaced it.

Without ids or flags, export writes everything. It writes records that cannot be
read as they are, names them, and ends with exit code 5.

With --plain, export writes the values in clear, for other programs. It makes
names of ids as run --prefix does: what follows the prefix, in upper case, with
- as _. Only json keeps the ids. If one value cannot be written, nothing is.`,
		Example: `  nebula export --out backup.nebula
  nebula export --prefix github_ | ssh host nebula import -
  nebula export --tag env=prod --out prod.nebula -o json
  nebula export --plain --format dotenv --for compose --prefix app_ --out .env
  nebula export --plain --format kubernetes --name app | kubectl apply -f -`,
		Annotations: map[string]string{slow: unlimited},
	}
	selected := selectionFlags(cmd, "export", false)
	flags := cmd.Flags()
	flags.StringVar(&o.out, "out", "", "write `file`, of mode 0600, whole or not at all; - is standard output")
	o.plain.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if len(args) == 0 && !flags.Changed("prefix") && !flags.Changed("tag") {
			_ = flags.Set("all", "true") // it is a flag of ours, and takes that
		}
		if o.selection, err = selected(args); err != nil {
			return err
		}
		if err := o.plain.check(cmd); err != nil {
			return err
		}
		switch {
		case flags.Changed("out") && o.out == "":
			return usage("--out is empty", "")
		case config.LooksLikeKey(o.out):
			return keyForPath("--out")
		case o.out == "-":
			o.out = ""
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func (a *app) export(ctx context.Context, o exportOptions) error {
	if o.out == "" && a.global.output == outputJSON && !o.selection.dryRun {
		return usage("-o json is the summary of an export to a file", "give the file with --out F")
	}
	if o.plain.wanted() {
		return a.exportPlain(ctx, o)
	}
	s, err := a.openWithoutKeys(ctx)
	if err != nil {
		return err
	}
	err = firstError(a.exportSealed(ctx, s, o), s.Close())
	if !errors.Is(err, nebula.ErrUntrustedKey) {
		return err
	}
	// The opened keyring shows whether a rotation replaced the data key.
	return a.withStore(ctx, func(s *config.Opened) error { return a.exportSealed(ctx, s, o) })
}

func (a *app) exportSealed(ctx context.Context, s *config.Opened, o exportOptions) error {
	if o.selection.dryRun {
		ids, skipped, err := a.resolve(ctx, s, o.selection)
		if err != nil {
			return err
		}
		return firstError(a.printIDs("would_export", ids), skipped)
	}
	var report transfer.ExportReport
	write := func(out transfer.Output) (err error) {
		report, err = a.exportTo(ctx, s, o, out)
		return err
	}
	var err error
	if o.out != "" {
		err = writeFile(o.out, func(f atomicfile.Filling) error { return write(f) })
	} else {
		err = a.throughSpool(write)
	}
	if err != nil {
		return err
	}
	return a.printExport(report, o)
}

// exportTo shows the progress.
func (a *app) exportTo(ctx context.Context, s *config.Opened, o exportOptions, out transfer.Output) (transfer.ExportReport, error) {
	bar := &progress{}
	defer func() { bar.end() }()
	begun := false
	return transfer.Export(ctx, s.Store, out, transfer.ExportOptions{
		IDs: o.selection.ids, Filter: o.selection.filter, Jobs: s.MaxConcurrency, Now: a.now,
		Progress: func(done, total int) {
			if !begun { // only now is it known how many there are
				bar, begun = a.progress("exporting", total), true
			}
			bar.set(done)
		},
	})
}

// throughSpool writes to a temporary file first, so that nobody reads part of
// an export from standard output, or one that had to begin anew.
func (a *app) throughSpool(write func(transfer.Output) error) error {
	spooled, err := newSpool()
	if err != nil {
		return err
	}
	defer spooled.Close()
	if err := write(spooled); err != nil {
		return spoolError(err)
	}
	if _, err := spooled.Seek(0, io.SeekStart); err != nil {
		return spoolError(err)
	}
	_, err = io.Copy(a.stdout, spooled)
	return outputError(err)
}

type exportJSON struct {
	Out        string         `json:"out"`
	KeyID      string         `json:"key_id"`
	Records    int            `json:"records"`
	Bytes      int64          `json:"bytes"`
	Unreadable []entryFailure `json:"unreadable"`
}

// printExport prints what was written, and fails if something could not be
// read.
func (a *app) printExport(r transfer.ExportReport, o exportOptions) error {
	failed := a.failures(r.Unreadable)
	var err error
	if a.global.output == outputJSON {
		err = outputError(writeJSON(a.stdout, exportJSON{o.out, r.KeyID.String(), r.Records, r.Bytes, failed}))
	} else {
		for i, f := range failed {
			what := "is exported as it is"
			if nebula.UnparsedRecord(r.Unreadable[i].Err) == nil {
				what = "is not in the export"
			}
			a.warn(fmt.Sprintf("%s cannot be read, and %s: %s", f.ID, what, f.Message))
		}
		a.tell(a.exported(r, o))
	}
	return firstError(err, unreadableOf("export", r.Unreadable, r.Records))
}

func (a *app) exported(r transfer.ExportReport, o exportOptions) string {
	text := fmt.Sprintf("exported %s, sealed under the key %s", plural(r.Records), r.KeyID)
	switch {
	case o.out != "":
		text += ", to " + o.out
	case a.stdoutIsTerminal:
		text += "; to keep it: --out F"
	}
	return text
}
