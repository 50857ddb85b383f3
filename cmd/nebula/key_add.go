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
		Short: "Add a key that opens the store",
		Long: `Add a slot for each key that is named. The store is opened with a key that it
has already.

A recipient is somebody's public key, of age or SSH. Their identity opens the
store, and nobody else needs it. If a recipient needs an age plugin, name the
plugin with --plugin, or with plugins in [key].

A new passphrase comes from NEBULA_NEW_PASSPHRASE_FILE, NEBULA_NEW_PASSPHRASE or
a hidden prompt, which asks twice. If you enter nothing, it makes one for you.`,
		Example: `  nebula key add --passphrase
  nebula key add --key-file /mnt/usb/nebula.key
  nebula key add --passphrase --kdf pbkdf2-sha256
  nebula key add --recipient "$(cat ada.pub)" --label ada
  nebula key add --keychain
  nebula key add --aws-kms alias/nebula --label pods
  nebula key add --vault-transit nebula --label ci`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	choice := keyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := choice()
		if err == nil && k.isEmpty() {
			err = usage("which key?", "nebula key add with --key-file FILE, --passphrase, --recipient R, --recipients-file FILE"+serviceFlags()+" or --keychain")
		}
		if err != nil {
			return err
		}
		return run(cmd.Context(), k)
	}
	return cmd
}

type addedJSON struct {
	Slot    slotJSON   `json:"slot"` // the first one
	KeyFile string     `json:"key_file,omitempty"`
	Made    bool       `json:"key_file_made"`
	Slots   []slotJSON `json:"slots"`
}

func (a *app) keyAdd(ctx context.Context, choice keyChoice) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		// Check this before a key file is made that would open nothing.
		if err := s.Unlock(ctx); err != nil {
			return err
		}
		if err := s.Keys.MayAdd(); err != nil {
			return err
		}
		var out addedJSON
		for _, prepare := range a.newKeys(s, choice) {
			added, err := a.addKey(ctx, s, prepare, choice.label)
			if err != nil {
				for _, slot := range out.Slots {
					a.tell("slot " + slot.ID + " was added before this failed, and stays")
				}
				return err
			}
			if out.Slots == nil {
				out = added
			}
			out.Slots = append(out.Slots, added.Slot)
		}
		if err := a.tellAdded(ctx, s, out.Slots); err != nil {
			return err
		}
		return a.print(out, func(w io.Writer) error {
			for _, slot := range out.Slots {
				fmt.Fprintln(w, slot.ID)
			}
			return nil
		})
	})
}

// addKey makes a key and its slot.
func (a *app) addKey(ctx context.Context, s *config.Opened, prepare newKey, label string) (addedJSON, error) {
	key, err := prepare(ctx)
	if err != nil {
		return addedJSON{}, err
	}
	slot, err := s.AddKey(ctx, key.Key, label)
	if err != nil {
		a.tellLeft(key)
		return addedJSON{}, err
	}
	if key.Made {
		a.tell("new key file: " + key.File)
	}
	if key.File == "" {
		a.tellSetting(s.Keys, key, slot)
	}
	a.tellFiles(s.Keys, key.File)
	return addedJSON{Slot: slotOf(slot), KeyFile: key.File, Made: key.Made}, nil
}

// tellAdded says what else the owner of the new key needs.
func (a *app) tellAdded(ctx context.Context, s *config.Opened, slots []slotJSON) error {
	info, err := s.Store.Keys(ctx)
	if err != nil {
		return err
	}
	a.tellRoom(s, info.Size)
	if slices.ContainsFunc(slots, func(slot slotJSON) bool { return slot.For != "" }) {
		a.tellKeyID(info.ID)
	}
	return nil
}

// tellSetting says which setting opens the new slot from now on, unless a
// configured key opens it.
func (a *app) tellSetting(keys *config.Keys, key config.FirstKey, slot nebula.Slot) {
	if key.Setting == "" || key.File == "" && keys.OpensHere(slot) {
		return
	}
	a.tell("slot " + slot.ID + " is opened with: " + keys.SettingOf(key, slot))
}

// tellFiles says how to name a key file beside the others if nothing names it
// yet: a rotation needs all of them.
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
