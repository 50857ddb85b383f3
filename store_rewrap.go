package nebula

import (
	"context"
	"errors"
	"strings"

	"github.com/nebula-credential/nebula/internal/seal"
)

// UnlockSlots opens every slot that a rotation with that Drop wraps a new data
// key for. The keys at hand then hold their secrets, so that [Store.Rotate] asks
// nobody for a passphrase any more. It fails as Rotate does.
func (s *Store) UnlockSlots(ctx context.Context, drop []string) error {
	ring, err := s.keyring(ctx, &prefetch{})
	if err == nil {
		_, _, err = s.openSlots(ctx, ring, drop)
	}
	return s.locate(err, "rotate", "")
}

// rewrap wraps the next data key for the slots that are kept. Id, kind, salt
// and parameters stay, so that a running process opens the new keyring with
// the secret that it holds.
func (s *Store) rewrap(ctx context.Context, ring *keyring, next *seal.Key, drop []string) ([]slotRecord, error) {
	kept, keks, err := s.openSlots(ctx, ring, drop)
	if err != nil {
		return nil, err
	}
	slots := make([]slotRecord, len(kept))
	for i, slot := range kept {
		slots[i] = slotRecord{slot.Slot, keks[i].Wrap(slot.seal(), next)}
	}
	return slots, nil
}

// openSlots returns the slots that are not dropped, and the key of each.
func (s *Store) openSlots(ctx context.Context, ring *keyring, drop []string) ([]slotRecord, []seal.KEK, error) {
	kept, err := ring.without(drop)
	if err != nil {
		return nil, nil, err
	}
	var keks []seal.KEK
	var closed []string
	for i := 0; i < len(kept); i++ {
		slot := kept[i]
		kek, opened, err := s.openSlot(ctx, slot)
		switch {
		case err != nil:
			return nil, nil, err
		case !opened && s.askAgain(slot.Slot):
			i-- // with another passphrase
			continue
		case !opened:
			closed = append(closed, slot.ID+" ("+shown(slot.Kind)+")")
		}
		keks = append(keks, kek)
	}
	if closed != nil {
		return nil, nil, &Error{Kind: ErrUsage,
			Message: "no key or passphrase at hand opens the slots " + strings.Join(closed, ", ") + ", which would lose access",
			Hint:    "give their keys too, several key files in NEBULA_KEY_FILE or files of [key]; or drop them: nebula key rotate --drop SLOT"}
	}
	return kept, keks, nil
}

// askAgain reports whether somebody may be asked for another passphrase for the
// slot. Other slots stay open with theirs.
func (s *Store) askAgain(slot Slot) bool {
	for _, key := range s.options.Keys {
		if p, ok := key.(*Passphrase); ok && p.Opens(slot.Kind) && p.again([]Slot{slot}) {
			return true
		}
	}
	return false
}

// openSlot returns the slot's key if one of the keys at hand opens it.
func (s *Store) openSlot(ctx context.Context, slot slotRecord) (seal.KEK, bool, error) {
	for _, key := range s.options.Keys {
		if !key.Opens(slot.Kind) {
			continue
		}
		secret, err := key.Secret(ctx, slot.Slot)
		if errors.Is(err, ErrUnauthenticated) {
			continue
		}
		if err != nil {
			return seal.KEK{}, false, err
		}
		kek := seal.NewKEK(slot.seal(), secret)
		_, err = kek.Unwrap(slot.seal(), slot.wrapped)
		if err == nil || !errors.Is(err, seal.ErrCommitment) {
			return kek, err == nil, err
		}
	}
	return seal.KEK{}, false, nil
}
