package nebula

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// SwitchKey replaces the data key as a rotation does, and seals no record anew. Their
// key is then retired, or, with rotating, about to be.
func SwitchKey(ctx context.Context, s *Store, key Key, rotating bool) error {
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if !ring.rotating {
			ring.retired = slices.Insert(slices.Clone(ring.retired), 0, ring.current)
			ring.current = seal.GenerateKey()
			ring.switchedAt = s.now()
		}
		ring.rotating = rotating
		ring.keepSlots(nil)
		_, err := ring.add(ctx, key, SlotNote{AddedAt: s.now()})
		return err
	})
}

// JoinSlots returns the keyring's record with the last slot of another keyring added
// to the list, and the plain hash of the list corrected.
func JoinSlots(t *testing.T, keyring, other *Envelope) []byte {
	t.Helper()
	edited := *keyring
	last := other.slots.slots[len(other.slots.slots)-1]
	edited.slots = newSlotList(append(slices.Clone(keyring.slots.slots), last))
	return edited.encode()
}

// WithKeyID returns the record with another key id in clear.
func WithKeyID(e *Envelope, id KeyID) *Envelope {
	edited := *e
	edited.keyID = id
	edited.raw = edited.encode()
	return &edited
}

// PassTime replaces the store's waiting for a rotation to settle by pass.
func PassTime(s *Store, pass func(time.Duration)) {
	s.sleep = func(_ context.Context, d time.Duration) error {
		pass(d)
		return nil
	}
}

// KeysForTest returns the keys that the store was opened with.
func (s *Store) KeysForTest() []Key { return s.options.Keys }

// LimitGuard makes a guard hold fewer marks, and gives it another clock.
func LimitGuard(f *GuardFile, marks int, now func() time.Time) { f.maxMarks, f.now = marks, now }

// SlotsOf returns the slots in a keyring's record.
func SlotsOf(e *Envelope) []Slot {
	var slots []Slot
	for _, s := range e.slots.slots {
		slots = append(slots, s.Slot)
	}
	return slots
}

// OnlySlot returns the keyring's record with only one of its slots.
func OnlySlot(keyring *Envelope, i int) *Envelope {
	edited := *keyring
	edited.slots = newSlotList(keyring.slots.slots[i : i+1])
	return &edited
}

// EditSlot returns the keyring's record with one slot changed. With hashed, the plain
// hash of the list is corrected.
func EditSlot(t *testing.T, keyring *Envelope, i int, hashed bool, change func(*Slot)) []byte {
	t.Helper()
	slots := slices.Clone(keyring.slots.slots)
	slots[i].Data = bytes.Clone(slots[i].Data)
	change(&slots[i].Slot)
	edited := *keyring
	edited.slots = newSlotList(slots)
	raw := edited.encode()
	if !hashed {
		right, was := base64.StdEncoding.EncodeToString(edited.slots.sum[:]), base64.StdEncoding.EncodeToString(keyring.slots.sum[:])
		raw = bytes.Replace(raw, []byte(right), []byte(was), 1)
	}
	return raw
}

// OpenKeyringForTest opens a keyring's record with the keys.
func OpenKeyringForTest(ctx context.Context, e *Envelope, keys []Key) error {
	_, err := openKeyring(ctx, Record{Envelope: e}, keys)
	return err
}

// FoundByUpdate stores a value, and returns the one that it replaced.
func FoundByUpdate(ctx context.Context, s *Store, id ID, value Secret) (found Secret, err error) {
	_, err = s.update(ctx, "store", id, PutOptions{}, func(c *Credential) (Secret, error) {
		found = c.Secret
		return value, nil
	})
	return found, err
}
