package config

import (
	"context"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/seal"
)

// envKey is the variable that holds the line of a key file.
const envKey = "NEBULA_KEY"

// keyLine is the key in a variable, which holds the line of a key file.
type keyLine struct{ text string }

// String names the key in messages.
func (k *keyLine) String() string { return "the key of " + envKey }

// Opens reports true for slots of key files.
func (k *keyLine) Opens(kind string) bool { return kind == nebula.SlotKeyFile }

// Secret returns the key. No error shows what the variable holds.
func (k *keyLine) Secret(context.Context, nebula.Slot) ([]byte, error) {
	secret, err := seal.ParseKeyFile([]byte(k.text))
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: envKey + ": " + err.Error(), Err: err}
	}
	return secret[:], nil
}

// NewSlot returns a slot of a key file.
func (k *keyLine) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	slot := nebula.Slot{ID: id, Kind: nebula.SlotKeyFile, Salt: salt}
	secret, err := k.Secret(ctx, slot)
	return slot, secret, err
}
