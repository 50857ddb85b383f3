package nebula

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

// Limits of a keyring. A slot's kind is counted in characters, its data in bytes.
const (
	maxSlots      = 16
	maxSlotKind   = 64
	maxSlotData   = slotdata.MaxSize
	maxRetired    = 64
	maxGeneration = 1<<53 - 1
)

func damagedKeyring(message string, cause error) error {
	return &Error{Kind: ErrCorrupted, Message: "the keyring: " + message, Err: cause,
		Hint: "restore the keyring from a backup; without it no credential of this store can be read"}
}

// keyring is an opened keyring. It is immutable.
type keyring struct {
	version    Version // of its record
	raw        []byte  // its record
	createdAt  time.Time
	slots      []slotRecord
	notes      map[string]SlotNote // by slot id; not changed once it is here
	current    *seal.Key
	retired    []*seal.Key // newest first
	generation uint64
	rotating   bool
	switchedAt time.Time // while rotating
	openedBy   Slot      // that gave the current key; zero if this process made the key, or it was kept
	kept       bool      // whether the current key was kept, and no slot opened
	vouched    bool      // whether somebody who knew the store's key kept it
	pinned     bool      // whether something said that it is the store's, before it was opened
}

// openKeyring opens the keyring's record with the first key that fits a slot.
// The order of checks, and so of errors, is that of docs/format.md.
func openKeyring(ctx context.Context, record Record, keys []Key) (*keyring, error) {
	current, openedBy, err := unwrap(ctx, record.Envelope.slots.slots, keys)
	if err != nil {
		return nil, err
	}
	if current.ID() != record.Envelope.keyID {
		return nil, damagedKeyring("it names another data key than its slots hold", nil)
	}
	return readKeyring(record, current, openedBy)
}

// readKeyring opens the keyring's record with its data key.
func readKeyring(record Record, current *seal.Key, openedBy Slot) (*keyring, error) {
	e := record.Envelope
	plaintext, err := e.open(current, KeyringName())
	if err != nil {
		return nil, damagedKeyring("it was damaged or edited", err)
	}
	defer clear(plaintext)
	k := &keyring{
		version:   record.Version,
		raw:       e.raw,
		createdAt: e.metadata.CreatedAt,
		slots:     e.slots.slots,
		current:   current,
		openedBy:  openedBy,
	}
	if !k.readValue(plaintext) {
		return nil, damagedKeyring("its sealed value is not valid", nil)
	}
	return k, nil
}

// add makes a slot for key that holds the keyring's data key.
func (k *keyring) add(ctx context.Context, key Key, note SlotNote) (Slot, error) {
	added, err := k.wrapFor(ctx, key)
	if err != nil {
		return Slot{}, err
	}
	k.slots = append(slices.Clip(k.slots), added)
	k.note(added.ID, note)
	return added.Slot, nil
}

func (k *keyring) wrapFor(ctx context.Context, key Key) (slotRecord, error) {
	if len(k.slots) == maxSlots {
		return slotRecord{}, &Error{Kind: ErrUsage, Message: fmt.Sprintf("the keyring has %d slots, the most there can be", maxSlots),
			Hint: "remove one first: nebula key remove SLOT"}
	}
	id, salt := newSlotID(), newSalt() // an id that is there already is refused by storeKeyring
	slot, secret, err := key.NewSlot(ctx, id, salt)
	if err != nil {
		return slotRecord{}, err
	}
	return wrap(Slot{ID: id, Kind: slot.Kind, Salt: salt}, slot, secret, k.current)
}

// wrap wraps a data key for a slot that a key has just made. It fails if the key
// made another slot than it was asked for.
func wrap(want, slot Slot, secret []byte, dataKey *seal.Key) (slotRecord, error) {
	message := ""
	switch {
	case len(secret) != seal.KeySize:
		message = fmt.Sprintf("gave a secret of %d bytes, not %d", len(secret), seal.KeySize)
	case slot.ID != want.ID || slot.Kind != want.Kind || slot.Salt != want.Salt:
		message = "made another slot than it was asked for"
	}
	if message != "" {
		return slotRecord{}, &Error{Kind: ErrInternal, Message: "a key for slots of kind " + shown(want.Kind) + " " + message}
	}
	return slotRecord{slot, seal.NewKEK(slot.seal(), secret).Wrap(slot.seal(), dataKey)}, nil
}

func newSalt() (salt [seal.SaltSize]byte) {
	_, _ = rand.Read(salt[:]) // never fails
	return salt
}

// keepSlots replaces the slots of the keyring, and drops the notes of the others.
func (k *keyring) keepSlots(slots []slotRecord) {
	k.slots = slots
	notes := make(map[string]SlotNote, len(k.notes))
	for id, note := range k.notes {
		if k.hasSlot(id) {
			notes[id] = note
		}
	}
	k.notes = notes
}

// without returns all slots except those of the given ids.
func (k *keyring) without(ids []string) ([]slotRecord, error) {
	for _, id := range ids {
		if !k.hasSlot(id) {
			return nil, noSlot(id)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(k.slots), func(s slotRecord) bool { return slices.Contains(ids, s.ID) })
	if len(rest) == 0 {
		return nil, &Error{Kind: ErrUsage, Message: "the last slot cannot be removed: nothing would open the store",
			Hint: "add another one first: nebula key add --passphrase, or nebula key add --key-file FILE"}
	}
	return rest, nil
}

func noSlot(id string) error {
	return &Error{Kind: ErrNotFound, Message: "the keyring has no slot " + quoteID(id), Hint: "to see them: nebula key list"}
}

// continues reports whether k is a later state of the same store as before: it
// holds the key of before, or one of the slots of before opened it. Anyone who
// does not know the secret of such a slot cannot wrap another key for it. The key
// of before may be missing, because it may have been destroyed.
func (k *keyring) continues(before *keyring) bool {
	if k.keyByID(KeyID(before.current.ID())) != nil {
		return true
	}
	by := k.openedBy
	return !anyoneCanMake(by.Kind) && slices.ContainsFunc(before.slots, func(s slotRecord) bool {
		return s.ID == by.ID && s.Kind == by.Kind && s.Salt == by.Salt
	})
}

func (k *keyring) hasSlot(id string) bool {
	for _, s := range k.slots {
		if s.ID == id {
			return true
		}
	}
	return false
}
