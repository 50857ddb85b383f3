package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Keys finds the keys of one store.
type Keys struct {
	store       *store
	env         environment
	options     OpenOptions
	description nebula.Description
	opening     []nebula.Key // that open the store
	first       FirstKey     // of a store that is being made
	asked       int          // times that a person was, for the passphrase
}

// FirstKey is the first key of a new store.
type FirstKey struct {
	nebula.Key
	File     string // of a key file; "" for another key
	Made     bool   // whether the file was made just now
	Variable string // the variable that holds the key; "" for another key
	Source   string // what keeps the secret of a slot, such as "the keychain"; "" for another key

	// Setting is the setting that names the key to people who open the store: a
	// line of the configuration, or a variable. It is "" for the default key file
	// and a passphrase.
	Setting string
}

// all returns the keys that open the store: the key files first, then the key
// in a variable, then those whose secret is kept elsewhere, then the
// passphrase.
func (k *Keys) all() (keys []nebula.Key, err error) {
	files, isDefault := k.Files()
	for _, path := range files {
		keys = append(keys, k.keyFile(path, isDefault))
	}
	if key := k.variable(); key != nil {
		keys = append(keys, key)
	}
	for _, s := range keySources() {
		key, err := s.key(k)
		if err != nil {
			return nil, err
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	return append(keys, k.passphrase()), nil
}

// maxTries is how often a person may type a passphrase.
const maxTries = 3

// passphrase returns the key of the passphrase source, or of a person's input.
func (k *Keys) passphrase() *nebula.Passphrase {
	if name := k.PassphraseSource(); name != "" {
		return &nebula.Passphrase{Source: k.Passphrase, Name: name}
	}
	return &nebula.Passphrase{Source: k.Passphrase, Tries: maxTries}
}

// variable returns the key in a variable, or nil.
func (k *Keys) variable() nebula.Key {
	if text, ok := k.env.lookup(envKey); ok && k.store.name == DefaultStore {
		return &keyLine{text}
	}
	return nil
}

func (k *Keys) keyFile(path string, optional bool) nebula.Key {
	file := &nebula.KeyFile{Path: path, AllowGroupRead: k.store.key.AllowGroupRead, Optional: optional}
	if slices.Contains(k.store.key.bare, path) {
		return bareFile{file}
	}
	return file
}

// bareFile is a key file that a variable gave as a mere name, without a
// directory. If there is no such file, the text may be a secret instead.
type bareFile struct{ *nebula.KeyFile }

func (f bareFile) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	if !Exists(f.Path) {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "NEBULA_KEY_FILE names a file that is not there; " +
			"the name is not shown, since it may be a secret itself"}
	}
	return f.KeyFile.Secret(ctx, slot)
}

// showPath returns a key file's path for a message.
func (k *Keys) showPath(path string) string {
	if slices.Contains(k.store.key.bare, path) && !Exists(path) {
		return "of NEBULA_KEY_FILE"
	}
	return path
}

// named returns the key files that the configuration or a variable names.
func (k *Keys) named() []string {
	var paths []string
	for _, path := range append([]string{k.store.key.File}, k.store.key.Files...) {
		if path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// Files returns the paths of the key files, or the default one, which may not
// exist. It returns none if the environment names no place for the default one.
func (k *Keys) Files() (paths []string, isDefault bool) {
	if named := k.named(); len(named) > 0 {
		return named, false
	}
	if path := defaultKeyFile(k.env); path != "" {
		return []string{path}, true
	}
	return nil, true
}

func defaultKeyFile(env environment) string {
	if dir := env.directory(); dir != "" {
		return filepath.Join(dir, "key")
	}
	return ""
}

// ReadFile fails if the key file cannot be used.
func (k *Keys) ReadFile(ctx context.Context, path string) error {
	_, err := k.keyFile(path, false).Secret(ctx, nebula.Slot{})
	return err
}

// MayAdd fails if the store's keyring can be made but not changed, so that no
// key file is made in vain.
func (k *Keys) MayAdd() error {
	if !k.description.NoPreconditions {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrNotSupported, Provider: k.description.Provider,
		Message: "this store cannot change its keyring as it is configured, and no key was made",
		Hint:    "set enable_locking = true for it; on a file system without locks, change a copy of the directory elsewhere and copy it back"}
}

// firstKey is First for a store that is made by its first put. It reports a new
// key file at once, because the file stays even if making the store fails.
func (k *Keys) firstKey(ctx context.Context) (nebula.Key, error) {
	key, err := k.First(ctx)
	if err != nil {
		return nil, err
	}
	if key.Made {
		k.options.Tell(key.Explain())
	}
	k.first = key
	return key.Key, nil
}

// initialised reports that the first put has made the store.
func (k *Keys) initialised() {
	k.options.Tell("new store: " + k.Place())
	if !k.first.Made {
		k.options.Tell(k.first.Explain())
	}
}

// Place names the store for a person.
func (k *Keys) Place() string {
	if k.description.Address == "" {
		return k.description.Provider
	}
	return k.description.Provider + ", " + k.description.Address
}

// Explain tells a person what the key is, where it is, and how to keep it.
func (f FirstKey) Explain() string {
	switch {
	case f.Variable != "":
		return "it is opened with the key in " + f.Variable + "; without it nothing can be read\n" +
			"back up: the key, apart from the store"
	case f.Source != "":
		return "it is opened with " + f.Source + "; without that nothing can be read\n" +
			"add a second key, which is a way in if the first one is lost: nebula key add --passphrase"
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

// Where tells a person where the store looks for keys.
func (k *Keys) Where() string {
	var places []string
	files, _ := k.Files()
	for _, path := range files {
		state := ""
		if !Exists(path) {
			state = " (not there)"
		}
		places = append(places, "the key file "+k.showPath(path)+state)
	}
	if k.store.name == DefaultStore {
		places = append(places, "NEBULA_KEY_FILE", envKey, "the keychain (keychain in [key])", envIdentities)
		for _, s := range services() {
			places = append(places, "[key."+s.service.section+"]")
		}
		places = append(places, envPassphraseFile, envPassphraseCommand, envPassphrase)
	} else {
		section := "[stores." + k.store.name + ".key]"
		settings := "file, files, keychain, identities, "
		for _, s := range services() {
			settings += s.service.section + ", "
		}
		places = append(places, settings+"passphrase_file and passphrase_command in "+section)
	}
	return "a key is looked for in: " + strings.Join(places, ", ") + ", and asked for on the terminal"
}

// CheckPassphrases examines the files with passphrases.
func (k *Keys) CheckPassphrases() []nebula.Finding {
	paths := []string{k.store.source.File, k.env.get(envNewPassphraseFile)}
	if k.store.name == DefaultStore {
		paths[0] = k.env.get(envPassphraseFile)
	}
	var findings []nebula.Finding
	for _, path := range paths {
		path = k.env.expand(path)
		info, err := os.Stat(path)
		if path == "" || err != nil || !info.Mode().IsRegular() {
			continue // a pipe can be read only once
		}
		f, err := k.openSecret(path)
		if err == nil {
			_ = f.Close()
			continue
		}
		finding := nebula.Finding{Check: "passphrase", Severity: nebula.SeverityError, Kind: FileKind(err), Message: path + ": " + atomicfile.Reason(err)}
		var wide *atomicfile.WideError
		if errors.As(err, &wide) {
			finding.Fix = wide.Fix
		}
		findings = append(findings, finding)
	}
	return findings
}
