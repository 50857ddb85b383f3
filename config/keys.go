package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Keys knows where the keys of one store are looked for.
type Keys struct {
	store       *store
	env         environment
	options     OpenOptions
	description nebula.Description
}

// FirstKey is the key with which a store is made.
type FirstKey struct {
	nebula.Key
	File string // of a key file; "" for a passphrase
	Made bool   // whether the file was made just now
}

// all returns the keys that open the store: the key file first, then the
// passphrase.
func (k *Keys) all() []nebula.Key {
	var keys []nebula.Key
	if path := k.file(); path != "" {
		keys = append(keys, k.keyFile(path, !k.fileIsNamed()))
	}
	return append(keys, &nebula.Passphrase{Source: k.Passphrase})
}

func (k *Keys) keyFile(path string, optional bool) *nebula.KeyFile {
	return &nebula.KeyFile{Path: path, AllowGroupRead: k.store.key.AllowGroupRead, Optional: optional}
}

// fileIsNamed reports whether the file or a variable names the key file.
func (k *Keys) fileIsNamed() bool { return k.store.key.File != "" }

// file returns the path of the key file: what is named, or else the default.
// It may not be there.
func (k *Keys) file() string {
	if k.fileIsNamed() {
		return k.store.key.File
	}
	return defaultKeyFile(k.env)
}

func defaultKeyFile(env environment) string {
	if dir := env.directory(); dir != "" {
		return filepath.Join(dir, "key")
	}
	return ""
}

// File returns the path of the key file and whether it is a default, which
// need not be there. The path is "" where there is no place for one.
func (k *Keys) File() (path string, isDefault bool) { return k.file(), !k.fileIsNamed() }

// ReadFile reports what is wrong with the key file, if anything is.
func (k *Keys) ReadFile(ctx context.Context, path string) error {
	_, err := k.keyFile(path, false).Secret(ctx, nebula.Slot{})
	return err
}

// First returns the key that a store gets where nobody asks for another one:
// of the key file that is named, else of a passphrase whose source is set, else
// of the default key file. An existing valid file is used, a missing one made.
func (k *Keys) First(ctx context.Context) (FirstKey, error) {
	if !k.fileIsNamed() && k.PassphraseSource() != "" {
		return FirstKey{Key: &nebula.Passphrase{Source: k.Passphrase}}, nil
	}
	path := k.file()
	if path == "" {
		return FirstKey{}, &nebula.Error{Kind: nebula.ErrUnauthenticated,
			Message: "there is no home directory to keep a key file in", Hint: k.Where()}
	}
	return k.FirstFile(ctx, path)
}

// FirstFile is First for that key file.
func (k *Keys) FirstFile(ctx context.Context, path string) (FirstKey, error) {
	if err := k.checkPlace(path); err != nil {
		return FirstKey{}, err
	}
	made := false
	if !Exists(path) {
		err := nebula.CreateKeyFile(path)
		if err != nil && !errors.Is(err, nebula.ErrAlreadyExists) { // another process came first
			return FirstKey{}, err
		}
		made = err == nil
	}
	if err := k.ReadFile(ctx, path); err != nil {
		return FirstKey{}, err
	}
	return FirstKey{Key: k.keyFile(path, false), File: path, Made: made}, nil
}

// MayAdd refuses to add a key to a store whose keyring can be made and not be
// changed, before a key file is made for it.
func (k *Keys) MayAdd() error {
	if !k.description.NoPreconditions {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrNotSupported, Provider: k.description.Provider,
		Message: "this store cannot change its keyring as it is configured, and no key was made",
		Hint:    "set enable_locking = true for it; on a file system without locks, change a copy of the directory elsewhere and copy it back"}
}

// firstKey is First for a store that is made by its first put.
func (k *Keys) firstKey(ctx context.Context) (nebula.Key, error) {
	key, err := k.First(ctx)
	if err != nil {
		return nil, err
	}
	k.options.Tell("new store: " + k.Place() + "\n" + key.Explain())
	return key.Key, nil
}

// Place names the store for a person.
func (k *Keys) Place() string {
	if k.description.Address == "" {
		return k.description.Provider
	}
	return k.description.Provider + ", " + k.description.Address
}

// Explain says what the key is, where, and how to keep it.
func (f FirstKey) Explain() string {
	switch {
	case f.File == "":
		return "it is opened with your passphrase; without it nothing can be read\n" +
			"back up: the passphrase, and the store"
	case f.Made:
		return "new key file: " + f.File + "; without it nothing can be read\n" +
			"back up: copy the key file to a safe place, apart from the store"
	}
	return "it is opened with the key file that was there: " + f.File + "\n" +
		"back up: copy the key file to a safe place, apart from the store"
}

// Where says where keys are looked for.
func (k *Keys) Where() string {
	var places []string
	if path := k.file(); path != "" {
		state := ""
		if !Exists(path) {
			state = " (not there)"
		}
		places = append(places, "the key file "+path+state)
	}
	if k.store.name == DefaultStore {
		places = append(places, "NEBULA_KEY_FILE", envPassphraseFile, envPassphraseCommand, envPassphrase)
	} else {
		section := "[stores." + k.store.name + ".key]"
		places = append(places, "file, passphrase_file and passphrase_command in "+section)
	}
	return "a key is looked for in: " + strings.Join(places, ", ") + ", and asked for on the terminal"
}

// Warnings tells what should be mended about the files with passphrases.
func (k *Keys) Warnings() []nebula.Finding {
	paths := []string{k.store.source.File, k.env.get(envNewPassphraseFile)}
	if k.store.name == DefaultStore {
		paths[0] = k.env.get(envPassphraseFile)
	}
	var findings []nebula.Finding
	for _, path := range paths {
		path = k.env.expand(path)
		info, err := os.Stat(path)
		if path == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if problem := readableByOthers(info); problem != "" {
			findings = append(findings, nebula.Finding{Check: "passphrase", Severity: nebula.SeverityWarning,
				Message: path + ": " + problem, Fix: "chmod 600 " + path})
		}
	}
	return findings
}
