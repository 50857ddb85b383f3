package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// keyChoice says for which keys to make slots, one each.
type keyChoice struct {
	files          []string // paths of key files, made when they are missing
	passphrase     bool
	recipients     []string
	recipientLists []string // files
	keychain       bool
	plugins        []string
	services       []serviceKeys

	label     string
	allowWeak bool
	kdf       string
}

// serviceKeys are the keys of one service that were named.
type serviceKeys struct {
	flag  config.ServiceFlag
	names []string
}

// isEmpty reports whether no key was named.
func (k keyChoice) isEmpty() bool {
	named := len(k.files) + len(k.recipients) + len(k.recipientLists)
	for _, s := range k.services {
		named += len(s.names)
	}
	return named == 0 && !k.passphrase && !k.keychain
}

// keyFlags adds the flags of a keyChoice and returns a function that checks
// them.
func keyFlags(cmd *cobra.Command) func() (keyChoice, error) {
	var k keyChoice
	flags := cmd.Flags()
	flags.StringArrayVar(&k.files, "key-file", nil, "open it with the key in `file`, which is made if it is missing")
	flags.BoolVar(&k.passphrase, "passphrase", false, "open it with a passphrase")
	flags.StringArrayVar(&k.recipients, "recipient", nil, "open it with the age identity of recipient `R`: age1…, or the line of an SSH public key")
	flags.StringArrayVar(&k.recipientLists, "recipients-file", nil, "--recipient for each line of `file`")
	flags.BoolVar(&k.keychain, "keychain", false, "open it with a secret in the keychain of this machine")
	k.services = make([]serviceKeys, len(config.ServiceFlags()))
	for i, flag := range config.ServiceFlags() {
		k.services[i].flag = flag
		flags.StringArrayVar(&k.services[i].names, flag.Name, nil, flag.Usage)
	}
	flags.StringArrayVar(&k.plugins, "plugin", nil, "`name` of an age plugin that may be started for --recipient")
	flags.StringVar(&k.label, "label", "", "`text` that says whose key it is; sealed, and shown by key list")
	flags.BoolVar(&k.allowWeak, "allow-weak", false, "allow a passphrase of fewer than 12 characters")
	flags.StringVar(&k.kdf, "kdf", "", "`name` of the function that makes a key of the passphrase: argon2id, the default, or pbkdf2-sha256 for FIPS mode")
	_ = cmd.RegisterFlagCompletionFunc("kdf",
		cobra.FixedCompletions([]string{nebula.SlotArgon2id, nebula.SlotPBKDF2}, cobra.ShellCompDirectiveNoFileComp))
	return func() (keyChoice, error) { return k, k.check() }
}

func (k *keyChoice) check() error {
	for _, file := range k.files {
		switch {
		case file == "":
			return usage("--key-file is empty", "")
		case config.LooksLikeKey(file):
			return keyForPath("--key-file")
		}
	}
	for _, file := range k.recipientLists {
		if config.LooksLikeKey(file) {
			return keyForPath("--recipients-file")
		}
	}
	for _, s := range k.services {
		for _, name := range s.names {
			if err := s.flag.Check(name); err != nil {
				return err
			}
		}
	}
	switch {
	case len(k.files) > 0 && k.passphrase:
		return usage("--key-file and --passphrase exclude each other", "")
	case k.kdf != "" && k.kdf != nebula.SlotArgon2id && k.kdf != nebula.SlotPBKDF2:
		return usage("--kdf must be argon2id or pbkdf2-sha256", "")
	case !k.isEmpty() && !k.passphrase && (k.allowWeak || k.kdf != ""):
		return usage("--allow-weak and --kdf are about a passphrase, and none is asked for", "")
	}
	return k.readRecipients()
}

// readRecipients puts all recipients into recipients, in age's form.
func (k *keyChoice) readRecipients() error {
	for i, text := range k.recipients {
		normal, err := recipient.Normalise(text)
		if err != nil {
			return err
		}
		k.recipients[i] = normal
	}
	for _, path := range k.recipientLists {
		f, err := os.Open(path)
		if err != nil {
			return &nebula.Error{Kind: config.FileKind(err), Message: "the list of recipients cannot be read: " + err.Error(), Err: err}
		}
		list, err := recipient.ReadList(f)
		_ = f.Close()
		if err == nil && len(list) == 0 {
			err = usage("there is no recipient in "+path, "")
		}
		if err != nil {
			return err
		}
		k.recipients = append(k.recipients, list...)
	}
	k.recipientLists = nil
	return nil
}

// serviceFlags lists the flags of services, each after a comma.
func serviceFlags() (list string) {
	for _, flag := range config.ServiceFlags() {
		list += ", --" + flag.Name + " KEY"
	}
	return list
}

// keyForPath refuses a key that was given instead of a file's path, and repeats
// none of it.
func keyForPath(flag string) error {
	return usage(flag+" takes the path of a file, and this looks like a key itself",
		"nothing was made; a path that only looks so is written as ./NAME")
}

// newKey makes a key when it is its turn. No file is made, and no person is
// asked, before the slots before it are there.
type newKey func(context.Context) (config.FirstKey, error)

// newKeys returns the keys that were named, one for each slot.
func (a *app) newKeys(s *config.Opened, choice keyChoice) (keys []newKey) {
	for _, file := range choice.files {
		keys = append(keys, func(ctx context.Context) (config.FirstKey, error) { return s.Keys.FirstFile(ctx, absolute(file)) })
	}
	if choice.passphrase {
		keys = append(keys, func(context.Context) (config.FirstKey, error) {
			p := &nebula.Passphrase{Source: a.newPassphrase(s), AllowWeak: choice.allowWeak, KDF: choice.kdf}
			return config.FirstKey{Key: p}, nil
		})
	}
	if choice.keychain {
		keys = append(keys, func(context.Context) (config.FirstKey, error) { return s.Keys.ForKeychain(), nil })
	}
	for _, to := range choice.recipients {
		keys = append(keys, func(context.Context) (config.FirstKey, error) {
			key := s.Keys.ForRecipient(to, choice.plugins)
			key.Source = "the age identity of " + shortened(to, maxFor)
			return key, nil
		})
	}
	for _, service := range choice.services {
		for _, name := range service.names {
			keys = append(keys, func(context.Context) (config.FirstKey, error) { return s.Keys.ForService(service.flag, name) })
		}
	}
	return keys
}
