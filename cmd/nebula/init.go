package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func initCommand(run func(context.Context, keyChoice) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a store's data key and the first key that opens it",
		Long: `Make a store's data key and the first key that opens it. If the store has a data
key already, init ends with exit code 7.

Without a flag, the first key is the key file that the configuration or
NEBULA_KEY_FILE names, or the key in NEBULA_KEY; else the passphrase of
NEBULA_PASSPHRASE_FILE, NEBULA_PASSPHRASE_COMMAND or NEBULA_PASSPHRASE; else a
key file beside the configuration. init uses a key file that is there, and makes
one that is missing. If the configuration names one other key and nothing else,
an age identity, the keychain or the key of a service, then it is that one.`,
		Example: `  nebula init
  nebula init --key-file ~/keys/nebula
  nebula init --passphrase
  nebula init --recipient age1… --label ada
  nebula init --aws-kms alias/nebula`,
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
	// Check this before a key file is made, or a person is asked for a
	// passphrase.
	if err := wantNew(ctx, s); err != nil {
		return err
	}
	keys := a.newKeys(s, choice)
	if choice.isEmpty() || choice.passphrase {
		keys = append([]newKey{a.firstKey(s, choice)}, keys[min(1, len(keys)):]...)
	}
	key, err := keys[0](ctx)
	if err != nil {
		return err
	}
	id, err := s.Init(ctx, key.Key)
	if err != nil {
		a.tellLeft(key)
		return err
	}
	a.tell("new store: " + s.Keys.Place() + "\n" + key.Explain())
	if err := a.describeFirst(ctx, s, key, choice.label); err != nil {
		return err
	}
	for _, more := range keys[1:] {
		if _, err := a.addKey(ctx, s, more, choice.label); err != nil {
			return err
		}
	}
	a.tellInit(s, key, id)
	d := s.Describe()
	return a.print(initJSON{d.Provider, d.Address, id.String(), key.File, key.Made}, func(io.Writer) error { return nil })
}

// describeFirst gives the first slot of a new store its label, and says which
// setting opens it from now on.
func (a *app) describeFirst(ctx context.Context, s *config.Opened, key config.FirstKey, label string) error {
	if label == "" && key.Setting == "" {
		return nil
	}
	info, err := s.Store.Keys(ctx)
	if err != nil {
		return err
	}
	a.tellSetting(s.Keys, key, info.Slots[0])
	if label == "" {
		return nil
	}
	return s.Label(ctx, info.Slots[0].ID, label)
}

func (a *app) tellInit(s *config.Opened, key config.FirstKey, id nebula.KeyID) {
	if key.Source != "" {
		a.tellKeyID(id)
	}
	if isMemory(s) {
		a.warn(memoryEnds)
	}
}

// tellKeyID says how to tell others which key the store has: anyone could have
// made a slot for them.
func (a *app) tellKeyID(id nebula.KeyID) {
	a.tell(a.forStore("tell others, and containers, which key the store has: id = \"" + id.String() + "\" in [key], or NEBULA_KEY_ID=" + id.String()))
}

// tellLeft says that a new key file stays after a failure. It is not removed,
// because the keyring may hold it.
func (a *app) tellLeft(key config.FirstKey) {
	if key.Made {
		a.tell("the key file " + key.File + " was made before this failed, and may open nothing")
	}
}

// during names the operation to which a look at the keyring belonged.
func during(op string, err error) error {
	var e *nebula.Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Op = op
	return &named
}

// memoryEnds is the message if somebody may think that the store stays.
const memoryEnds = "the provider memory ends with the process: nothing of it is there for the next command"

func isMemory(s *config.Opened) bool { return s.Describe().Provider == "memory" }

// endsWithProcess replaces the advice to run init, which does not help if the
// store is in memory.
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
		Message: "the store is initialised already", Hint: "to add another key: nebula key add --passphrase, or nebula key add --key-file FILE"}
}

// firstKey returns the key for a new store if none is named, or the passphrase.
func (a *app) firstKey(s *config.Opened, choice keyChoice) newKey {
	return func(ctx context.Context) (config.FirstKey, error) {
		var key config.FirstKey
		var err error
		if !choice.passphrase {
			if key, err = s.Keys.First(ctx); err != nil {
				return key, err
			}
		} else {
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
}
