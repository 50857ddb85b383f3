package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/keychain"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// envIdentities names the files with identities, joined as in PATH.
const envIdentities = "NEBULA_IDENTITIES"

// keySource is a source of keys beside key files and passphrases.
type keySource struct {
	kind  string // of the slots
	name  string // for people, after "with"
	flag  string // of init and key add, by which one is made a slot for
	isSet func(*Keys) bool
	fits  func(*Keys, nebula.Slot) bool // whether a slot may be for what is set

	// key returns the key that opens the store, or nil if nothing is set.
	key func(*Keys) (nebula.Key, error)

	// first returns the key for a new store if no flag names one. It is nil for a
	// service, which uses its configured key.
	first func(*Keys) (nebula.Key, error)

	service *keyService // that keeps the key; nil for others
}

// keySources are in the order in which they are tried. Those that ask nobody
// come first. A new kind is one line here, and a file source_KIND.go.
func keySources() []keySource {
	return []keySource{
		{kind: nebula.SlotKeychain, name: "the keychain", flag: "--keychain",
			isSet: func(k *Keys) bool { return k.store.key.Keychain }, key: (*Keys).keychain,
			fits:  func(*Keys, nebula.Slot) bool { return true },
			first: (*Keys).keychain},
		{kind: nebula.SlotRecipient, name: "age identities", flag: "--recipient R",
			isSet: func(k *Keys) bool { return len(k.store.key.Identities) > 0 }, key: (*Keys).identities,
			fits: (*Keys).isOwn, first: (*Keys).ownRecipient},
		awsKMS(),
		vaultTransit(),
		azureKey(),
	}
}

// keychain returns the key of the keychain, or nil if it is not turned on.
func (k *Keys) keychain() (nebula.Key, error) {
	if !k.store.key.Keychain {
		return nil, nil
	}
	return keychain.New(), nil
}

// identities returns a key even if there are no identities: it makes slots of
// recipients anew, which needs no secret.
func (k *Keys) identities() (nebula.Key, error) { return recipient.New(k.recipientOptions("")), nil }

func (k *Keys) recipientOptions(to string) recipient.Options {
	return recipient.Options{
		Recipient:      to,
		Identities:     k.store.key.Identities,
		AllowGroupRead: k.store.key.AllowGroupRead,
		Plugins:        k.store.key.Plugins,
		Passphrase: func(ctx context.Context, file string, try int) ([]byte, error) {
			question := "Passphrase for the identity file " + file + ": "
			if try > 1 {
				question = fmt.Sprintf("That is not it; try %d\n", try) + question
			}
			return k.ask(ctx, question, "the identity file "+file+" is encrypted")
		},
		Ask: func(ctx context.Context, prompt string, _ bool) (string, error) {
			text, err := k.ask(ctx, prompt+" ", "a plugin asks for something")
			defer clear(text)
			return string(text), err
		},
		Tell: k.options.Tell,
	}
}

// ask asks a person. If there is nobody to ask, the error says what for.
func (k *Keys) ask(ctx context.Context, question, why string) ([]byte, error) {
	text, err := k.options.Ask(ctx, question)
	if errors.Is(err, ErrNoTerminal) {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: why + ", and there is no terminal to ask at", Err: err, Hint: k.Where()}
	}
	return text, err
}

// ForRecipient returns a key for new slots that the recipient's age identity
// opens. Plugins are the names of plugins that may be started, beside those of
// the configuration.
func (k *Keys) ForRecipient(to string, plugins []string) FirstKey {
	options := k.recipientOptions(to)
	options.Plugins = append(options.Plugins[:len(options.Plugins):len(options.Plugins)], plugins...)
	return FirstKey{Key: recipient.New(options), Source: "the age identity of " + to,
		Setting: k.setting("key", `identities = ["FILE"]`, envIdentities+"=FILE") + ", where FILE has that identity"}
}

// ForKeychain returns a key for new slots that the keychain here opens.
func (k *Keys) ForKeychain() FirstKey {
	return FirstKey{Key: keychain.New(), Source: "the keychain of this machine",
		Setting: k.setting("key", "keychain = true", "NEBULA_KEY_KEYCHAIN=true")}
}

// ownRecipient returns a key for a slot that the configured identity opens.
func (k *Keys) ownRecipient() (nebula.Key, error) {
	own, _, err := recipient.Own(k.recipientOptions(""))
	if err != nil {
		return nil, err
	}
	if len(own) != 1 {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: fmt.Sprintf("the identity files name %d recipients, and a store is made with one", len(own)),
			Hint: "say which: nebula init --recipient R"}
	}
	return k.ForRecipient(own[0], nil).Key, nil
}

// OpensHere reports whether the configuration has a key that may open a slot.
// It calls nothing and asks nobody.
func (k *Keys) OpensHere(slot nebula.Slot) bool {
	switch slot.Kind {
	case nebula.SlotKeyFile:
		files, _ := k.Files()
		return k.variable() != nil || slices.ContainsFunc(files, Exists)
	case nebula.SlotArgon2id, nebula.SlotPBKDF2:
		return k.PassphraseSource() != ""
	}
	return slices.ContainsFunc(keySources(), func(s keySource) bool { return s.kind == slot.Kind && s.isSet(k) && s.fits(k, slot) })
}

// isOwn reports whether an identity may be for the recipient of a slot.
func (k *Keys) isOwn(slot nebula.Slot) bool {
	data, err := slotdata.ParseRecipient(slot.Data)
	own, complete, failed := recipient.Own(k.recipientOptions(""))
	return err == nil && (failed != nil || !complete || slices.Contains(own, data.Recipient))
}

// setIdentities reads the variable with identity files. It replaces the setting
// of the file.
func (l *loader) setIdentities() {
	text, ok := l.config.env.lookup(envIdentities)
	if !ok {
		return
	}
	f := l.fields.byKey["key.identities"]
	paths := []any{}
	for _, path := range identityPaths(text) {
		paths = append(paths, path)
	}
	if allowed := assign(f.value, paths, false); allowed != "" {
		return // a list of strings is one
	}
	f.origin = envIdentities
	for i := range f.value.Len() {
		l.setPath(f, f.value.Index(i), f.value.Index(i).String())
	}
}

func identityPaths(text string) []string {
	if LooksLikeKey(text) || text == "" {
		return []string{text}
	}
	return filepath.SplitList(text)
}

// checkPlugins checks the names of plugins, which name programs.
func (l *loader) checkPlugins(s *store, key string) {
	for _, name := range s.key.Plugins {
		if len(name) == 0 || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			l.wrong(key, display(name), "must be names of plugins: 1 to 32 characters of a-z 0-9 -")
		}
	}
}
