package nebula

import (
	"context"
	"encoding/hex"

	"github.com/nebula-credential/nebula/internal/seal"
)

// Kinds of slots that this package makes.
const (
	SlotArgon2id = "argon2id"      // passphrase
	SlotPBKDF2   = "pbkdf2-sha256" // passphrase, for FIPS mode
	SlotKeyFile  = "key-file"
)

// Kinds of slots whose secret something else keeps, in their Data. The packages
// below unlock make them.
const (
	SlotRecipient    = "recipient" // an age identity opens it
	SlotAWSKMS       = "aws-kms"
	SlotVaultTransit = "vault-transit"
	SlotAzureKey     = "azure-key"
	SlotKeychain     = "keychain"
)

// KeyID identifies a data key and reveals nothing about it.
type KeyID [16]byte

// String returns 32 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Slot describes one way to open a keyring. Memory (KiB), Passes and Lanes are
// the cost of Argon2id. For PBKDF2, Passes is the number of rounds. For other
// kinds they are zero.
type Slot struct {
	ID     string // 8 characters of a-z2-7, given when the slot is made
	Kind   string
	Salt   [16]byte
	Memory uint32
	Passes uint32
	Lanes  uint32
	Data   []byte // of kinds that keep something in the slot; nil otherwise
}

// Key opens a store. A user holds it: a passphrase, a key file, or access to a
// service that guards a key.
type Key interface {
	// Opens reports whether slots of that kind are opened with such a key.
	Opens(kind string) bool

	// Secret returns the 32 bytes under which the slot's copy of the data key is
	// wrapped. Unwrapping shows whether they are right. Secret may be called
	// often, so keep a secret that is costly to get. The slice belongs to the
	// key, and the caller does not change it.
	//
	// After an error of these kinds other keys are tried: ErrUnauthenticated if the
	// key is not at hand, ErrWrongKey if it is not one of this slot,
	// ErrNotSupported if FIPS mode forbids it. They are also tried after
	// ErrPermissionDenied, ErrUnavailable and ErrTimeout, but then no [Asker] that
	// would ask a person.
	Secret(ctx context.Context, slot Slot) ([]byte, error)

	// NewSlot returns a slot for this key, of that id and salt, and its secret
	// of 32 bytes, to which the rules of Secret apply.
	NewSlot(ctx context.Context, id string, salt [16]byte) (Slot, []byte, error)
}

// Asker is a Key that may have to ask a person. It is tried after those that
// need nobody.
type Asker interface {
	Key

	// Asks reports whether Secret may ask a person for that slot.
	Asks(slot Slot) bool
}

func asks(key Key, slot Slot) bool {
	asker, ok := key.(Asker)
	return ok && asker.Asks(slot)
}

// Renewer is a Key that can make its slot anew when the data key is replaced,
// without opening the old one.
type Renewer interface {
	Key

	// Renew returns the slot with another secret, and that secret. The salt is
	// fresh. The id and the kind stay, and the same people can open the slot.
	// After an error of kind ErrPermissionDenied or ErrUnauthenticated the slot
	// is opened instead. An error of kind ErrNotSupported says that this key can
	// do nothing for the slot.
	Renew(ctx context.Context, slot Slot, salt [16]byte) (Slot, []byte, error)
}

func (s Slot) seal() seal.Slot {
	return seal.Slot{
		Params: seal.Params{Kind: s.Kind, Salt: s.Salt, M: s.Memory, T: s.Passes, P: s.Lanes},
		ID:     s.ID,
		Data:   s.Data,
	}
}
