package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/migrate"
)

type migrateOptions struct {
	dir            string
	keyFile        string
	passphraseFile string
	salt           string
	extension      string
	dryRun         bool
}

func migrateCommand(run func(context.Context, migrateOptions) error) *cobra.Command {
	var o migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate DIR",
		Short: "Take over records of version 1 from another implementation",
		Long: `Take over records of version 1 from a directory, which stays as it is. The Rust
implementation of the same data model writes such records. migrate seals them
under the data key of this store. It leaves credentials that the store has
already, so you can run it again if it was stopped.

The old key is a file of 64 hexadecimal digits or 32 bytes, or a passphrase with
its salt.`,
		Example: `  nebula migrate old/ --v1-key-file old.key --dry-run
  nebula migrate old/ --v1-passphrase-file old.pass \
    --v1-salt 000102030405060708090a0b0c0d0e0f`,
		Annotations: map[string]string{slow: unlimited},
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one directory")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			switch byKey, byPassphrase := o.keyFile != "", o.passphraseFile != ""; {
			case byKey == byPassphrase:
				return usage("migrate needs the key of the old records: --v1-key-file, or --v1-passphrase-file with --v1-salt", "")
			case config.LooksLikeKey(o.keyFile):
				return keyForPath("--v1-key-file")
			case config.LooksLikeKey(o.passphraseFile):
				return keyForPath("--v1-passphrase-file")
			case byKey && o.salt != "":
				return usage("--v1-salt goes with --v1-passphrase-file", "")
			case byPassphrase && o.salt == "":
				return usage("--v1-passphrase-file needs --v1-salt", "the old implementation does not store it beside the records")
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.keyFile, "v1-key-file", "", "the old key in `file`: 64 hexadecimal digits, or 32 bytes")
	flags.StringVar(&o.passphraseFile, "v1-passphrase-file", "", "the old passphrase in `file`")
	flags.StringVar(&o.salt, "v1-salt", "", "its salt, 32 hexadecimal `digits`")
	flags.StringVar(&o.extension, "extension", migrate.DefaultExtension, "the `ending` of the files' names")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read everything and store nothing")
	return cmd
}

func (a *app) migrate(ctx context.Context, o migrateOptions) error {
	key, err := o.key(ctx)
	if err != nil {
		return err
	}
	defer key.Wipe()
	return a.withStore(ctx, func(s *config.Opened) error {
		shown := a.progress("migrating", -1)
		report, err := migrate.Dir(ctx, s.Store, o.dir, key, migrate.Options{
			Extension: o.extension, DryRun: o.dryRun,
			Progress: shown.setOf,
		})
		shown.end()
		if err != nil && len(report.Migrated) == 0 {
			return err
		}
		return firstError(err, a.printReport(report, o.dryRun))
	})
}

// key reads the key of the old records.
func (o migrateOptions) key(ctx context.Context) (migrate.Key, error) {
	path := o.keyFile
	if path == "" {
		path = o.passphraseFile
	}
	text, err := config.ReadSecretFile(ctx, path)
	if err != nil {
		return migrate.Key{}, err
	}
	defer clear(text)
	if o.keyFile != "" {
		return migrate.ParseKey(text)
	}
	salt, err := migrate.ParseSalt(o.salt)
	if err != nil {
		return migrate.Key{}, err
	}
	return migrate.DeriveKey(config.TrimLine(text), salt)
}

func (a *app) printReport(r migrate.Report, dryRun bool) error {
	err := a.print(r, func(w io.Writer) error {
		verb := "migrated"
		if dryRun {
			verb = "would migrate"
		}
		fmt.Fprintf(w, "%s %s, %d present already, %d left\n", verb, plural(len(r.Migrated)), len(r.Present), len(r.Left))
		return nil
	})
	for _, l := range r.Left {
		a.warn(fmt.Sprintf("%s is left: %s", l.File, l.Message))
	}
	if len(r.Migrated) > 0 {
		a.tell(migrate.Notice)
	}
	if err == nil && len(r.Left) > 0 {
		return errSilent(exitCode(nebula.ErrCorrupted))
	}
	return err
}
