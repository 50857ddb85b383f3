package config

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// First returns the first key of a new store, if no flag names another one: the
// key file or variable that is named, else the passphrase whose source is set,
// else the default key file. If the file exists, it must be valid, and is used.
// If it is missing, it is made. First fails with ErrUsage if several keys are
// named.
func (k *Keys) First(ctx context.Context) (FirstKey, error) {
	files, isDefault := k.Files()
	variable, configured := k.variable(), k.configured()
	switch {
	case len(configured) > 1:
		return FirstKey{}, severalKeys(configured)
	case !isDefault:
		return k.FirstFile(ctx, files[0])
	case variable != nil:
		return FirstKey{Key: variable, Variable: envKey}, nil
	case len(configured) == 1:
		return k.firstOfSource()
	case k.PassphraseSource() != "":
		return FirstKey{Key: k.passphrase()}, nil
	case len(files) == 0:
		return FirstKey{}, &nebula.Error{Kind: nebula.ErrUnauthenticated,
			Message: "there is no home directory to keep a key file in", Hint: k.Where()}
	}
	return k.FirstFile(ctx, files[0])
}

// configured returns the flags for the keys that the configuration and the
// environment have, except passphrases.
func (k *Keys) configured() (flags []string) {
	if files, isDefault := k.Files(); !isDefault {
		for range files {
			flags = append(flags, "--key-file F")
		}
	}
	if k.variable() != nil {
		flags = append(flags, "--key-file F")
	}
	for _, s := range keySources() {
		if s.isSet(k) {
			flags = append(flags, s.flag)
		}
	}
	return flags
}

func severalKeys(flags []string) error {
	slices.Sort(flags)
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "several keys are configured, and a store is made with one",
		Hint: "say which, with one of " + strings.Join(slices.Compact(flags), ", ") + ", --passphrase: nebula init FLAG. Then add the others: nebula key add FLAG"}
}

func (k *Keys) firstOfSource() (FirstKey, error) {
	for _, s := range keySources() {
		if s.isSet(k) && s.service != nil {
			return k.ofService(s, s.service.named(&k.store.key))
		}
		if s.isSet(k) {
			key, err := s.first(k)
			return FirstKey{Key: key, Source: s.name}, err // as it is configured
		}
	}
	return FirstKey{}, nil
}

// FirstFile is First for that key file.
func (k *Keys) FirstFile(ctx context.Context, path string) (FirstKey, error) {
	if LooksLikeKey(filepath.Base(path)) && !Exists(path) {
		return FirstKey{}, &nebula.Error{Kind: nebula.ErrUsage, Message: "the path of the key file looks like a key itself, and no file is made of that name",
			Hint: "the path of a file is wanted; the line of a key file is taken from " + envKey}
	}
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
	return FirstKey{Key: k.keyFile(path, false), File: path, Made: made, Setting: k.fileSetting(path)}, nil
}
