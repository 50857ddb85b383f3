package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/transfer"
)

type importOptions struct {
	source    string
	ids       []nebula.ID // none: all
	overwrite bool
	reseal    bool
	keyID     string
	yes       bool
	dryRun    bool
	foreign   foreignOptions
}

func importCommand(run func(context.Context, importOptions) error) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import SOURCE [ID…]",
		Short: "Store credentials from an export, or from elsewhere",
		Long: `Store the credentials of a sealed export, with their tags and times. import
reads and checks the whole file before it writes anything. It opens each record,
so it needs a key or passphrase of the exported store. A store that is not
initialised receives the keyring of the file. A store with another data key
needs --reseal.

Foreign sources:

  dotenv:F  json:F           a file of variables, an object; - is standard input
  pass:DIR                   passwords of pass, by default in ~/.password-store
  sops:F  ansible-vault:F    a file that these programs decrypt
  aws:PREFIX  azure:PREFIX   secrets whose names begin with it
  vault:PATH                 the secret at a path of the mount, and all below it
  kubernetes:NAME            a Secret of the namespace

For a backend, import uses the login of that provider in [storage], or of the
store that --via names. It takes objects and Secrets whole, as JSON; with
--fields, each member becomes a credential. import reads, names and compares
everything before it writes anything, and changes nothing in the source. What an
id cannot have becomes _. --dry-run shows each name, its id, and what is there.
It names what it cannot read, and takes the rest.

With ids, import stores only these of an export. Credentials that are there stay
as they are, so you can run an import again that was stopped. --overwrite
replaces those that differ.`,
		Example: `  nebula import backup.nebula --dry-run
  nebula import backup.nebula
  nebula import backup.nebula github_token --overwrite
  ssh host nebula export | nebula import - --reseal
  nebula import dotenv:.env --id-prefix app_ --fold-case --dry-run
  nebula import json:secrets.json --fields --tag team=payments
  nebula import aws:prod/ --fields --dry-run
  nebula import vault:apps/web --via old --id-prefix web_`,
		Annotations: map[string]string{slow: unlimited},
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) > 0, "a source")
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.overwrite, "overwrite", false, "replace credentials that differ from those of the source")
	flags.BoolVar(&o.reseal, "reseal", false, "if the store has another data key: open each record and seal it anew")
	flags.StringVar(&o.keyID, "key-id", "", "the data key `ID` that the file must have; ask its owner")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask before an older keyring is accepted")
	flags.BoolVar(&o.dryRun, "dry-run", false, "check everything and store nothing")
	o.foreign.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		o.source = args[0]
		if o.ids, err = parseIDs(args[1:]); err != nil {
			return err
		}
		switch {
		case o.source == "":
			return usage("the source is empty", "a file that export wrote, or - for standard input")
		case config.LooksLikeKey(o.source):
			return keyForPath("import")
		case flags.Changed("key-id"):
			if _, err := nebula.ParseKeyID(o.keyID); err != nil {
				return err
			}
		}
		scheme, _ := cutScheme(o.source)
		if scheme != "" && len(o.ids) > 0 {
			return usage("ids choose among those of a sealed export", "")
		}
		if err := o.foreign.check(cmd, scheme); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 { // the ids are in the file
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

func (a *app) importFrom(ctx context.Context, o importOptions) error {
	if scheme, rest := cutScheme(o.source); scheme != "" {
		return a.takeOver(ctx, o, scheme, rest)
	}
	backup, closeFile, err := a.openBackup(ctx, o.source)
	if err != nil {
		return err
	}
	defer closeFile()
	return a.withStore(ctx, func(s *config.Opened) error { return a.importSealed(ctx, s, backup, o) })
}

// openBackup reads an export to its end. It copies standard input, or another
// pipe, to a temporary file, because the export is read again later.
func (a *app) openBackup(ctx context.Context, source string) (b *transfer.Backup, closeFile func() error, err error) {
	file, err := a.openSource(ctx, source)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil {
		b, err = transfer.OpenBackup(file, info.Size())
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return b, file.Close, nil
}

// backupFile is a file that can be read at any place.
type backupFile interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

func (a *app) openSource(ctx context.Context, source string) (backupFile, error) {
	if source == "-" {
		if a.stdinIsTerminal {
			return nil, usage("standard input is a terminal", "give the file: nebula import F")
		}
		return a.spoolInput(ctx, a.stdin)
	}
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		err = &atomicfile.NotRegularError{Mode: info.Mode()}
	}
	if err != nil {
		return nil, sourceError(source, err)
	}
	if info.Mode().IsRegular() {
		f, err := os.Open(source)
		if err != nil {
			return nil, sourceError(source, err)
		}
		return f, nil
	}
	return a.spoolInput(ctx, &lateFile{path: source})
}

// lateFile is opened when it is read, because opening a pipe waits for its
// writer.
type lateFile struct {
	path string
	file *os.File
}

func (l *lateFile) Read(p []byte) (n int, err error) {
	if l.file == nil {
		if l.file, err = os.Open(l.path); err != nil {
			return 0, sourceError(l.path, err)
		}
	}
	return l.file.Read(p)
}

func (a *app) spoolInput(ctx context.Context, in io.Reader) (backupFile, error) {
	spooled, err := newSpool()
	if err != nil {
		return nil, err
	}
	defer a.pause()() // the program before the pipe may be slow
	_, err = within(ctx, func() ([]byte, error) {
		_, err := io.Copy(spooled, in)
		return nil, err
	})
	if err != nil {
		_ = spooled.Close()
		return nil, spoolError(err)
	}
	return spooled, nil
}

func sourceError(source string, err error) error {
	kind := config.FileKind(err)
	if kind == nebula.ErrInvalidConfig {
		kind = nebula.ErrUsage
	}
	return &nebula.Error{Kind: kind, Op: "import", Message: source + ": " + atomicfile.Reason(err), Err: err}
}

func (a *app) importSealed(ctx context.Context, s *config.Opened, b *transfer.Backup, o importOptions) error {
	options := transfer.ImportOptions{IDs: o.ids, Overwrite: o.overwrite, Reseal: o.reseal, Older: o.yes, DryRun: o.dryRun}
	if o.keyID != "" {
		id, err := nebula.ParseKeyID(o.keyID)
		if err != nil {
			return err
		}
		options.TrustedKey = &id
	}
	options.Source = func(ctx context.Context, trusted *nebula.KeyID) (*nebula.Store, error) {
		return s.OpenWith(ctx, b.Provider(), trusted)
	}
	a.tellOrigin(b)
	a.allowSlowStore(s.Describe())
	report, err := a.importWith(ctx, s, b, options)
	if errors.Is(err, nebula.ErrRolledBack) && !options.Older {
		if err = a.acceptOlder(ctx, err); err != nil {
			return err
		}
		options.Older = true
		report, err = a.importWith(ctx, s, b, options)
	}
	if err != nil && len(report.Imported)+len(report.Same)+len(report.Differs)+len(report.Failed) == 0 {
		return err
	}
	return firstError(a.printImport(report, b, o), a.endOfImport(report, err))
}

// importWith shows the progress.
func (a *app) importWith(ctx context.Context, s *config.Opened, b *transfer.Backup, options transfer.ImportOptions) (transfer.ImportReport, error) {
	bar := a.progress("importing", cmp.Or(len(options.IDs), b.Len()))
	defer bar.end()
	options.Progress = func(done, _ int) { bar.set(done) }
	return transfer.Import(ctx, s.Store, b, options)
}

// tellOrigin tells a person, and no script, what the file says about itself. It
// leaves out the key id, which is not authenticated yet, and which somebody might
// copy.
func (a *app) tellOrigin(b *transfer.Backup) {
	h := b.Header()
	a.done(fmt.Sprintf("an export of %s, made %s: %s", h.Address, formatTime(h.CreatedAt), plural(b.Len())))
}

// acceptOlder asks whether a keyring that is older than the one that was seen may
// become the store's.
func (a *app) acceptOlder(ctx context.Context, older error) error {
	if !a.stdinIsTerminal {
		return older
	}
	a.warn(a.failureOf(older).Message)
	return a.confirm(ctx, "Accept the older keyring?")
}
