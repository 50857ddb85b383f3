package recipient

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/secretfile"
)

const maxIdentityFile = 64 << 10 // bytes

// identities are the identities of the files, in the order in which they are
// tried: first those that ask nobody, last those of programs.
type identities struct {
	native []identity // of age
	ssh    []identity
	locked []*locked
	plugin []pluginIdentity
}

// identity opens slots by itself.
type identity struct {
	age.Identity
	recipient string
}

// locked is an encrypted file. If it holds an SSH key, it says whose it is.
type locked struct {
	file      string
	text      []byte
	recipient string // "" of an age file
	opened    []identity
}

// pluginIdentity is opened by a program.
type pluginIdentity struct{ file, name, encoding string }

func (ids *identities) none() bool {
	return len(ids.native)+len(ids.ssh)+len(ids.locked)+len(ids.plugin) == 0
}

// unasked returns the identities for that recipient which ask nobody.
func (ids *identities) unasked(recipient string) *identities {
	others := func(id identity) bool { return id.recipient != recipient }
	return &identities{native: slices.DeleteFunc(slices.Clone(ids.native), others), ssh: slices.DeleteFunc(slices.Clone(ids.ssh), others)}
}

// ask reports whether opening a slot for that recipient may ask a person.
func (ids *identities) ask(recipient string) bool {
	if !ids.unasked(recipient).none() {
		return false
	}
	for _, l := range ids.locked {
		if l.mayFit(recipient) && l.opened == nil {
			return true
		}
	}
	return len(ids.plugin) > 0
}

// mayFit reports whether the file may hold an identity for that recipient.
func (l *locked) mayFit(recipient string) bool { return l.recipient == "" || l.recipient == recipient }

// load reads the identity files, unless that was done.
func (k *key) load() error {
	if k.held != nil {
		return nil
	}
	ids := &identities{}
	for _, path := range k.options.Identities {
		text, err := secretfile.Read("identity file", path, k.options.AllowGroupRead, maxIdentityFile)
		if err != nil {
			return err
		}
		if err := ids.read(path, text); err != nil {
			return err
		}
	}
	k.held = ids
	return nil
}

// read adds the identities of a file.
func (ids *identities) read(path string, text []byte) error {
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.HasPrefix(text, []byte("age-encryption.org/")), bytes.HasPrefix(trimmed, []byte(armor.Header)):
		ids.locked = append(ids.locked, &locked{file: path, text: text})
		return nil
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN")):
		return ids.readSSH(path, text)
	}
	before := len(ids.native) + len(ids.plugin)
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if reason := ids.readLine(path, strings.TrimSpace(line)); reason != "" {
			return badIdentity(path, "line "+strconv.Itoa(n)+" "+reason)
		}
	}
	if len(ids.native)+len(ids.plugin) == before {
		return badIdentity(path, "there is none in it")
	}
	return nil
}

// readLine adds an identity, or says why it cannot. It shows nothing of the line,
// which may be secret even if it is wrong.
func (ids *identities) readLine(path, line string) string {
	switch {
	case line == "" || line[0] == '#':
	case strings.HasPrefix(line, "AGE-PLUGIN-"):
		name, _, err := plugin.ParseIdentity(line)
		if err != nil || !isPluginName(name) {
			return "is not a valid identity of a plugin"
		}
		ids.plugin = append(ids.plugin, pluginIdentity{path, name, line})
	case strings.HasPrefix(line, "age1"), strings.HasPrefix(line, "ssh-"):
		return "is a recipient, which is public; the identity is wanted"
	default:
		id, ok := parseIdentity(line)
		if !ok {
			return "is not a valid identity"
		}
		ids.native = append(ids.native, id)
	}
	return ""
}

func parseIdentity(line string) (identity, bool) {
	if hybrid, err := age.ParseHybridIdentity(line); err == nil {
		return identity{hybrid, hybrid.Recipient().String()}, true
	}
	classic, err := age.ParseX25519Identity(line)
	if err != nil {
		return identity{}, false
	}
	return identity{classic, classic.Recipient().String()}, true
}

func (ids *identities) readSSH(path string, text []byte) error {
	id, err := parseSSH(text, nil)
	if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
		public, err := publicOf(path, missing)
		if err != nil {
			return err
		}
		ids.locked = append(ids.locked, &locked{file: path, text: text, recipient: public})
		return nil
	}
	if err != nil {
		return badIdentity(path, "it is not a private key of SSH of type ssh-ed25519 or ssh-rsa")
	}
	ids.ssh = append(ids.ssh, id)
	return nil
}

// parseSSH reads an SSH private key, with its passphrase if that is not nil.
func parseSSH(text, passphrase []byte) (identity, error) {
	var raw any
	var err error
	if passphrase == nil {
		raw, err = ssh.ParseRawPrivateKey(text)
	} else {
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(text, passphrase)
	}
	if err != nil {
		return identity{}, err
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return identity{}, err
	}
	recipient := publicText(signer.PublicKey())
	if _, err := parseNative(recipient); err != nil {
		return identity{}, err
	}
	id, err := sshIdentity(raw)
	return identity{id, recipient}, err
}

func sshIdentity(raw any) (age.Identity, error) {
	switch k := raw.(type) {
	case *ed25519.PrivateKey:
		return agessh.NewEd25519Identity(*k)
	case ed25519.PrivateKey:
		return agessh.NewEd25519Identity(k)
	case *rsa.PrivateKey:
		return agessh.NewRSAIdentity(k)
	}
	return nil, errors.New("an SSH key of another type")
}

// publicOf returns the public part of an encrypted SSH key. Files of older formats
// do not hold it. Then FILE.pub does.
func publicOf(path string, missing *ssh.PassphraseMissingError) (string, error) {
	if missing.PublicKey != nil {
		return Normalise(publicText(missing.PublicKey))
	}
	text, err := os.ReadFile(path + ".pub")
	if err != nil {
		return "", &nebula.Error{Kind: secretfile.Kind(err), Err: err,
			Message: "identity file " + path + ": it is encrypted, does not say whose key it is, and " + path + ".pub cannot be read",
			Hint:    "put the public key there, or convert the private one: ssh-keygen -p -f FILE"}
	}
	public, err := Normalise(string(text))
	if err != nil || !strings.HasPrefix(public, "ssh-") {
		return "", badIdentity(path, "it is encrypted, and "+path+".pub is not the public key of an SSH key")
	}
	return public, nil
}

func badIdentity(path, reason string) error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "identity file " + path + ": " + reason,
		Hint: "age identities, one a line, or one SSH private key are wanted"}
}
