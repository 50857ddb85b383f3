// Package recipient opens stores with age identities: native ones (X25519 and
// post-quantum), SSH keys, and those of plugins.
package recipient

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"slices"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// Options configure a key. Renewing slots in a rotation needs none of them: give
// every store such a key, so that anyone can rotate.
type Options struct {
	// Recipient is the recipient of new slots, as [Normalise] returns it.
	Recipient string

	// Identities are files with age identities or with one SSH private key.
	// Only their owner may read or write them.
	Identities []string

	// AllowGroupRead accepts identity files of modes 0640 and 0440.
	AllowGroupRead bool

	// Plugins are the names of the plugins that may be started to seal to a
	// recipient: "yubikey" for the program age-plugin-yubikey. A slot alone never
	// starts a plugin. To open a slot, only plugins are started that an identity
	// file names.
	Plugins []string

	// Passphrase asks for the passphrase of an encrypted identity file. It gets
	// the number of the try, from 1. If it is nil, nobody can be asked.
	Passphrase func(ctx context.Context, file string, try int) ([]byte, error)

	// Ask asks the user a plugin's question; secret says whether the answer is
	// secret. If Ask is nil, nobody can be asked. Prompt is the plugin's text.
	Ask func(ctx context.Context, prompt string, secret bool) (string, error)

	// Tell shows a message of a plugin. If it is nil, the message is dropped.
	// The text is the plugin's.
	Tell func(text string)
}

// New returns the key. Files are read when it is first needed.
func New(options Options) nebula.Renewer {
	return &key{options: options}
}

type key struct {
	options Options
	secrets slots.Secrets

	mu   sync.Mutex
	held *identities // nil until the files are read
}

var (
	_ nebula.Renewer = (*key)(nil)
	_ nebula.Asker   = (*key)(nil)
)

// String names the identities in messages.
func (k *key) String() string {
	if len(k.options.Identities) == 0 {
		return "an age identity"
	}
	return "the age identities of " + quoteAll(k.options.Identities)
}

// Opens reports true for SlotRecipient.
func (k *key) Opens(kind string) bool { return kind == nebula.SlotRecipient }

// Asks reports whether a passphrase may be needed, or a plugin, which may ask for
// a PIN or a touch.
func (k *key) Asks(slot nebula.Slot) bool {
	data, err := slotdata.ParseRecipient(slot.Data)
	if err != nil || fips140.Enforced() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secrets.Get(slot) != nil || k.load() != nil {
		return false
	}
	return k.held.ask(data.Recipient)
}

// Secret opens the slot with the first identity that fits. Errors:
// ErrUnauthenticated without identities, or if the passphrase or the plugin of
// one is not at hand; ErrWrongKey if none of them fits; ErrCorrupted if the slot
// is damaged; ErrUnavailable if a plugin fails; ErrNotSupported in FIPS mode.
func (k *key) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	if err := refuseFIPS(); err != nil {
		return nil, err
	}
	data, err := slotdata.ParseRecipient(slot.Data)
	if err != nil {
		return nil, damaged(slot.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if secret := k.secrets.Get(slot); secret != nil {
		return secret, nil
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	o := &opening{ctx: ctx, options: &k.options, slotID: slot.ID, data: data}
	secret, err := o.open(k.held)
	if err == nil {
		k.secrets.Keep(slot, secret)
	}
	return secret, err
}

// NewSlot returns a slot for the recipient. If an identity at hand fits and asks
// nobody, NewSlot has opened the slot with it.
func (k *key) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	slot, secret, err := k.newSlot(ctx, k.options.Recipient, id, salt)
	if err == nil {
		err = k.openOwn(ctx, slot, secret)
	}
	if err != nil {
		clear(secret)
		return nebula.Slot{}, nil, err
	}
	return slot, secret, nil
}

// openOwn opens a new slot if it is for an identity at hand that asks nobody.
// If files cannot be read, a slot for somebody else is made anyway.
func (k *key) openOwn(ctx context.Context, slot nebula.Slot, secret []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	data, err := slotdata.ParseRecipient(slot.Data)
	if err != nil {
		return damaged(slot.ID, err)
	}
	if k.load() != nil {
		return nil
	}
	own := k.held.unasked(data.Recipient)
	if own.none() {
		return nil
	}
	opened, err := (&opening{ctx: ctx, options: &k.options, slotID: slot.ID, data: data}).open(own)
	defer clear(opened)
	if err == nil && !bytes.Equal(opened, secret) {
		err = damaged(slot.ID, errors.New("it was made just now, and holds something else"))
	}
	return err
}

// Renew returns the slot with another secret, for the same recipient. It fails
// with ErrNotSupported if that needs a plugin that is not named or not there,
// and in FIPS mode.
func (k *key) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	data, err := slotdata.ParseRecipient(slot.Data)
	if err != nil {
		return nebula.Slot{}, nil, damaged(slot.ID, err)
	}
	return k.newSlot(ctx, data.Recipient, slot.ID, salt)
}

func (k *key) newSlot(ctx context.Context, recipient, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	if err := refuseFIPS(); err != nil {
		return nebula.Slot{}, nil, err
	}
	secret := slots.NewSecret()
	file, err := seal(ctx, &k.options, recipient, secret)
	if err != nil {
		return nebula.Slot{}, nil, err
	}
	data := slotdata.Recipient{Recipient: recipient, File: file}.Bytes()
	if err := slotdata.Check(nebula.SlotRecipient, id, data); err != nil {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the slot for " + quote(recipient) + " cannot be kept: " + err.Error(), Err: err}
	}
	slot := nebula.Slot{ID: id, Kind: nebula.SlotRecipient, Salt: salt, Data: data}
	k.secrets.Keep(slot, secret)
	return slot, secret, nil
}

// mayStart reports whether a plugin may be started to seal to a recipient.
func (o *Options) mayStart(plugin string) bool { return slices.Contains(o.Plugins, plugin) }

// refuseFIPS fails in FIPS mode. It comes before any call into age, which does not
// work there, and sometimes does not return.
func refuseFIPS() error {
	if !fips140.Enforced() {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "slots for age recipients are not available in FIPS 140-only mode",
		Hint: "use a slot that works here: a key file, a key of a cloud, or a passphrase with pbkdf2-sha256"}
}

func damaged(slotID string, cause error) error { return slots.Damaged(slotID, "--recipient R", cause) }
