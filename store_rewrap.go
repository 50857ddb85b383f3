package nebula

import (
	"context"
	"strings"

	"github.com/nebula-credential/nebula/internal/seal"
)

// UnlockSlots opens every slot for which a rotation with that Drop wraps a new
// data key, except those that a [Renewer] may make anew. The keys at hand then
// hold their secrets, so [Store.Rotate] no longer asks anybody for a passphrase.
// It fails as Rotate does.
func (s *Store) UnlockSlots(ctx context.Context, drop []string) error {
	ring, err := s.keyring(ctx, &prefetch{})
	if err == nil {
		_, err = s.rewrapEach(ring, drop, func(w *rewrapping) error {
			if s.hasRenewer(w.slot.Kind) {
				w.done = true
				return nil
			}
			return w.open(ctx, ring.current)
		})
	}
	return s.locate(err, "rotate", "")
}

func (s *Store) hasRenewer(kind string) bool {
	for _, key := range s.options.Keys {
		if _, ok := key.(Renewer); ok && key.Opens(kind) {
			return true
		}
	}
	return false
}

// rewrap wraps the next data key for the slots that are kept.
func (s *Store) rewrap(ctx context.Context, ring *keyring, next *seal.Key, drop []string) ([]slotRecord, error) {
	return s.rewrapEach(ring, drop, func(w *rewrapping) error { return w.wrap(ctx, next) })
}

// rewrapEach calls wrap for every slot that is not dropped. It fails if one of
// them stays closed.
func (s *Store) rewrapEach(ring *keyring, drop []string, wrap func(*rewrapping) error) ([]slotRecord, error) {
	kept, err := ring.without(drop)
	if err != nil {
		return nil, err
	}
	var closed []string
	for i := 0; i < len(kept); i++ {
		w := &rewrapping{slot: kept[i], keys: s.options.Keys}
		err := wrap(w)
		switch {
		case err != nil:
			return nil, err
		case !w.done && s.askAgain(kept[i].Slot):
			i-- // with another passphrase
			continue
		case !w.done:
			closed = append(closed, w.describe())
		}
		kept[i] = w.slot
	}
	if closed != nil {
		return nil, &Error{Kind: ErrUsage,
			Message: "no key or passphrase at hand opens the slots " + strings.Join(closed, ", ") + ", which would lose access",
			Hint:    "give their keys too, several key files in NEBULA_KEY_FILE or files of [key]; or drop them: nebula key rotate --drop SLOT"}
	}
	return kept, nil
}

// askAgain reports whether a person may be asked for another passphrase for the
// slot. Other slots stay open with theirs.
func (s *Store) askAgain(slot Slot) bool {
	for _, key := range s.options.Keys {
		if p, ok := key.(*Passphrase); ok && p.Opens(slot.Kind) && p.again([]Slot{slot}) {
			return true
		}
	}
	return false
}

// rewrapping is a slot for which another data key is to be wrapped.
type rewrapping struct {
	slot   slotRecord
	keys   []Key
	done   bool
	reason error // of the first key that could have done it
}

// describe names a slot that could not be wrapped.
func (w *rewrapping) describe() string {
	text := w.slot.ID + " (" + shown(w.slot.Kind)
	if w.reason != nil {
		text += ": " + messageOf(w.reason)
	}
	return text + ")"
}

// wrap renews the slot if one of the keys can. Otherwise it opens the slot.
func (w *rewrapping) wrap(ctx context.Context, next *seal.Key) error {
	var able []Key
	for _, key := range w.keys {
		if !key.Opens(w.slot.Kind) {
			continue
		}
		err := error(nil)
		if renewer, ok := key.(Renewer); ok {
			if err = w.renew(ctx, renewer, next); w.done {
				return err
			}
		}
		if err := w.note(err); err != nil {
			return err
		}
		if KindOf(err) != ErrNotSupported {
			able = append(able, key)
		}
	}
	w.keys = able
	return w.open(ctx, next)
}

func (w *rewrapping) renew(ctx context.Context, key Renewer, next *seal.Key) error {
	salt := newSalt()
	slot, secret, err := key.Renew(ctx, w.slot.Slot, salt)
	if err != nil {
		return err
	}
	w.done = true
	w.slot, err = wrap(Slot{ID: w.slot.ID, Kind: w.slot.Kind, Salt: salt}, slot, secret, next)
	return err
}

// open wraps the data key for the slot as it is, if a key at hand opens it. A
// running process then opens the new keyring with the secret that it holds.
func (w *rewrapping) open(ctx context.Context, next *seal.Key) error {
	for _, key := range w.keys {
		if !key.Opens(w.slot.Kind) {
			continue
		}
		secret, err := key.Secret(ctx, w.slot.Slot)
		if err != nil {
			if err := w.note(err); err != nil {
				return err
			}
			continue
		}
		kek := seal.NewKEK(w.slot.seal(), secret)
		if _, err := kek.Unwrap(w.slot.seal(), w.slot.wrapped); err == nil {
			w.slot.wrapped, w.done = kek.Wrap(w.slot.seal(), next), true
			return nil
		}
	}
	return nil
}

// note records why a key does nothing for the slot, or returns an error that ends
// the rotation before it begins, for example if a service is unavailable.
func (w *rewrapping) note(err error) error {
	switch KindOf(err) {
	case "", ErrUnauthenticated, ErrWrongKey:
		return nil
	case ErrPermissionDenied, ErrNotSupported:
		if w.reason == nil {
			w.reason = err
		}
		return nil
	}
	return err
}
