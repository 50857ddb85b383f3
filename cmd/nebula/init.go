package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// keyChoice says with what key a slot is made.
type keyChoice struct {
	file       string // path of a key file, made when it is missing
	passphrase bool
	allowWeak  bool
	kdf        string
}

// keyFlags adds the flags of a keyChoice and returns what checks them.
func keyFlags(cmd *cobra.Command) func() (keyChoice, error) {
	var k keyChoice
	flags := cmd.Flags()
	flags.StringVar(&k.file, "key-file", "", "open it with the key in `file`, which is made when it is missing")
	flags.BoolVar(&k.passphrase, "passphrase", false, "open it with a passphrase")
	flags.BoolVar(&k.allowWeak, "allow-weak", false, "take a passphrase of fewer than 12 characters")
	flags.StringVar(&k.kdf, "kdf", "", "how the passphrase becomes a key: argon2id (default), or `pbkdf2-sha256` for FIPS mode")
	_ = cmd.RegisterFlagCompletionFunc("kdf",
		cobra.FixedCompletions([]string{nebula.SlotArgon2id, nebula.SlotPBKDF2}, cobra.ShellCompDirectiveNoFileComp))
	return func() (keyChoice, error) {
		switch {
		case flags.Changed("key-file") && k.file == "":
			return k, usage("--key-file is empty", "")
		case config.LooksLikeKey(k.file):
			return k, keyForPath("--key-file")
		case k.file != "" && k.passphrase:
			return k, usage("--key-file and --passphrase exclude each other", "")
		case k.kdf != "" && k.kdf != nebula.SlotArgon2id && k.kdf != nebula.SlotPBKDF2:
			return k, usage("--kdf must be argon2id or pbkdf2-sha256", "")
		case k.file != "" && (k.allowWeak || k.kdf != ""):
			return k, usage("--allow-weak and --kdf are about a passphrase, not a key file", "")
		}
		return k, nil
	}
}

// keyForPath refuses a key where the path of a file belongs, without a word of it.
func keyForPath(flag string) error {
	return usage(flag+" takes the path of a file, and what stands there looks like a key itself",
		"nothing was made; a path that only looks so is written as ./NAME")
}

func initCommand(run func(context.Context, keyChoice) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a store's data key and the first key that opens it",
		Long: `Make a store's data key and the first key that opens it. A store that has one
is refused (7).

Without a flag, it is the key file that the configuration or NEBULA_KEY_FILE
names, or the key in NEBULA_KEY; else the passphrase of NEBULA_PASSPHRASE_FILE,
NEBULA_PASSPHRASE_COMMAND or NEBULA_PASSPHRASE, else a key file beside the
configuration. A key file that is there is used, a missing one is made.`,
		Example: `  nebula init
  nebula init --key-file ~/keys/nebula
  nebula init --passphrase`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	choice := keyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := choice()
		if err != nil {
			return err
		}
		return run(cmd.Context(), k)
	}
	return cmd
}

type initJSON struct {
	Provider string `json:"provider"`
	Address  string `json:"address"`
	KeyID    string `json:"key_id"`
	KeyFile  string `json:"key_file,omitempty"`
	Made     bool   `json:"key_file_made"`
}

func (a *app) init(ctx context.Context, choice keyChoice) error {
	s, err := a.openWithoutKeys(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	// Before a key file is made, or a person is asked for a passphrase.
	if err := wantNew(ctx, s); err != nil {
		return err
	}
	key, err := a.firstKey(ctx, s, choice)
	if err != nil {
		return err
	}
	id, err := s.Init(ctx, key.Key)
	if err != nil {
		a.tellLeft(key)
		return err
	}
	a.tell("new store: " + s.Keys.Place() + "\n" + key.Explain())
	if isMemory(s) {
		a.warn(memoryEnds)
	}
	d := s.Describe()
	return a.print(initJSON{d.Provider, d.Address, id.String(), key.File, key.Made}, func(io.Writer) error { return nil })
}

// tellLeft says that a new key file stays after a failure. Whether the keyring
// holds it is not known for sure, so it is not removed.
func (a *app) tellLeft(key config.FirstKey) {
	if key.Made {
		a.tell("the key file " + key.File + " was made before this failed, and may open nothing")
	}
}

// during names the operation of which a look at the keyring was a part.
func during(op string, err error) error {
	var e *nebula.Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Op = op
	return &named
}

// memoryEnds is said where somebody may think that the store stays.
const memoryEnds = "the provider memory ends with the process: nothing of it is there for the next command"

func isMemory(s *config.Opened) bool { return s.Describe().Provider == "memory" }

// endsWithProcess does not send anybody to init where that helps nothing.
func endsWithProcess(s *config.Opened, err error) error {
	if !isMemory(s) || !errors.Is(err, nebula.ErrNotInitialised) {
		return err
	}
	ends := &nebula.Error{Kind: nebula.ErrNotFound, Provider: "memory", Message: memoryEnds, Err: err,
		Hint: "it is for tests in Go; choose another one with provider in [storage], or NEBULA_STORAGE_PROVIDER"}
	var e *nebula.Error
	if errors.As(err, &e) {
		ends.Op, ends.ID = e.Op, e.ID
	}
	return ends
}

func wantNew(ctx context.Context, s *config.Opened) error {
	_, err := s.Store.Keys(ctx)
	switch {
	case errors.Is(err, nebula.ErrNotInitialised):
		return nil
	case err != nil:
		return during("init", err)
	}
	return &nebula.Error{Kind: nebula.ErrAlreadyExists, Op: "init", Provider: s.Describe().Provider,
		Message: "the store is initialised already", Hint: "another key or passphrase is added with: nebula key add"}
}

// firstKey returns the key for a new store.
func (a *app) firstKey(ctx context.Context, s *config.Opened, choice keyChoice) (config.FirstKey, error) {
	var key config.FirstKey
	var err error
	switch {
	case choice.file != "":
		return s.Keys.FirstFile(ctx, absolute(choice.file))
	case !choice.passphrase:
		if key, err = s.Keys.First(ctx); err != nil {
			return key, err
		}
	default:
		source := a.newPassphrase(s)
		if s.Keys.PassphraseSource() != "" {
			source = s.Keys.Passphrase // it is what will open the store
		}
		key.Key = &nebula.Passphrase{Source: source}
	}
	if p, ok := key.Key.(*nebula.Passphrase); ok {
		p.AllowWeak, p.KDF = choice.allowWeak, choice.kdf
	}
	return key, nil
}
