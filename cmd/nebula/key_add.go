package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

func keyAddCommand(run func(context.Context, keyChoice) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a key file or a passphrase that opens the store",
		Long: `Add a slot. The store is opened with a key that it has already.

A new passphrase comes from NEBULA_NEW_PASSPHRASE_FILE, NEBULA_NEW_PASSPHRASE or
a hidden prompt, which asks twice and makes one for you when you enter nothing.`,
		Example: `  nebula key add --passphrase
  nebula key add --key-file /mnt/usb/nebula.key
  nebula key add --passphrase --kdf pbkdf2-sha256`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	choice := keyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := choice()
		if err == nil && k.file == "" && !k.passphrase {
			err = usage("which key?", "nebula key add --key-file FILE, or nebula key add --passphrase")
		}
		if err != nil {
			return err
		}
		return run(cmd.Context(), k)
	}
	return cmd
}

type addedJSON struct {
	Slot    slotJSON `json:"slot"`
	KeyFile string   `json:"key_file,omitempty"`
	Made    bool     `json:"key_file_made"`
}

func (a *app) keyAdd(ctx context.Context, choice keyChoice) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		// Before a key file is made that would open nothing.
		if err := s.Unlock(ctx); err != nil {
			return err
		}
		if err := s.Keys.MayAdd(); err != nil {
			return err
		}
		key := config.FirstKey{Key: &nebula.Passphrase{Source: a.newPassphrase(s), AllowWeak: choice.allowWeak, KDF: choice.kdf}}
		if choice.file != "" {
			var err error
			if key, err = s.Keys.FirstFile(ctx, absolute(choice.file)); err != nil {
				return err
			}
		}
		slot, err := s.AddKey(ctx, key.Key, "")
		if err != nil {
			a.tellLeft(key)
			return err
		}
		if key.Made {
			a.tell("new key file: " + key.File)
		}
		a.tellFiles(s.Keys, key.File)
		return a.print(addedJSON{slotOf(slot), key.File, key.Made}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, slot.ID)
			return err
		})
	})
}

// tellFiles says how a key file that nothing names is given beside the others: a
// rotation needs all of them.
func (a *app) tellFiles(keys *config.Keys, added string) {
	files, _ := keys.Files()
	if added == "" || slices.Contains(files, added) {
		return
	}
	var paths []string
	for _, path := range append(files, added) {
		if config.Exists(path) {
			paths = append(paths, path)
		}
	}
	if a.global.store != "" && a.global.store != config.DefaultStore {
		a.tell("a rotation needs every key: name this file in files of [stores." + a.global.store + ".key]")
		return
	}
	a.tell("a rotation needs every key: name this file in files of [key], or for once:\n" +
		"  NEBULA_KEY_FILE=" + atomicfile.Quote(strings.Join(paths, string(filepath.ListSeparator))) + " nebula key rotate")
}
