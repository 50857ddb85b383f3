// Package keychain opens stores with secrets that the keychain of the operating
// system keeps: the Secret Service on Linux, the login keychain on macOS, the
// Credential Manager on Windows. Every process of the user can read them.
package keychain

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

const service = "nebula"

// store is a keychain. Accounts are ids of slots. Its errors are nebula's, or
// errAbsent.
type store interface {
	get(ctx context.Context, account string) (string, error)
	// set fails if there is one of that account.
	set(ctx context.Context, account, secret string) error
	remove(ctx context.Context, account string) error
}

var errAbsent = errors.New("the keychain has no such item")

// New returns the key. It asks the keychain when that is first needed, and once
// for each slot.
func New() nebula.Key { return newKey(systemStore()) }

func newKey(s store) *key { return &key{store: s, secrets: make(map[string][]byte)} }

// Remove removes the secret of a removed slot from the keychain, and reports
// whether there was one.
func Remove(ctx context.Context, slotID string) (existed bool, err error) {
	err = systemStore().remove(ctx, slotID)
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return err == nil, err
}

type key struct {
	store store

	mu      sync.Mutex
	secrets map[string][]byte // by slot id
}

// String names the keychain in messages.
func (k *key) String() string { return "the keychain" }

// Opens reports true for SlotKeychain.
func (k *key) Opens(kind string) bool { return kind == nebula.SlotKeychain }

// Secret returns the slot's secret from the keychain. Errors: ErrUnauthenticated
// if there is none; ErrUnavailable if there is no keychain, or nobody unlocks it;
// ErrInvalidConfig if it has several items for the slot; ErrCorrupted if the item
// is not a secret.
func (k *key) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	if err := slotdata.CheckKeychain(slot.Data, slot.ID); err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the slot " + slot.ID + " is damaged: " + err.Error(), Err: err}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if secret, ok := k.secrets[slot.ID]; ok {
		return secret, nil
	}
	text, err := k.store.get(ctx, slot.ID)
	if errors.Is(err, errAbsent) {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Err: err, Message: "the keychain here holds no secret for the slot " + slot.ID}
	}
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(secret) != slots.SecretSize {
		clear(secret)
		return nil, &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the keychain's item for the slot " + slot.ID + " is not its secret",
			Hint: "open the store with another key, remove the slot and add it anew: nebula key remove " + slot.ID + ", nebula key add --keychain"}
	}
	k.secrets[slot.ID] = secret
	return secret, nil
}

// NewSlot stores a new secret in the keychain, and reads it back. If the slot is
// not written afterwards, the secret stays there and opens nothing.
func (k *key) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	slot := nebula.Slot{ID: id, Kind: nebula.SlotKeychain, Salt: salt, Data: slotdata.Keychain(id)}
	secret := slots.NewSecret()
	if err := k.store.set(ctx, id, base64.StdEncoding.EncodeToString(secret)); err != nil {
		return nebula.Slot{}, nil, err
	}
	held, err := k.Secret(ctx, slot)
	if err == nil && string(held) != string(secret) {
		err = &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the keychain did not keep what was stored in it"}
	}
	return slot, held, err
}

func unavailable(message string, cause error) error {
	return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the keychain: " + message, Err: cause,
		Hint: "open the store with another key, or unlock the keychain of this session"}
}
