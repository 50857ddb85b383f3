package nebula

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nebula-credential/nebula/internal/seal"
)

// DestroyOptions goes with [Store.DestroyKey].
type DestroyOptions struct {
	// Leave names records, by their id, that may become unreadable for good, as
	// in [RotateOptions].
	Leave []string

	// Progress is called with the number of records looked at so far. Its calls
	// come one after the other.
	Progress func(looked int)
}

// DestroyKey removes a retired data key from the keyring. Old versions, deleted
// credentials and backups that are sealed under it can then no longer be read.
// Anyone who trusts the store by that key alone no longer trusts it.
//
// It looks at every record first. If records are sealed under that key or
// cannot be read, and are not to be left, it names them and destroys nothing.
// Errors: ErrNotFound if no retired key has that id; ErrUsage if the key is in
// use; ErrCorrupted, or the kind that all of these records share.
func (s *Store) DestroyKey(ctx context.Context, id KeyID, options DestroyOptions) error {
	for attempt := newAttempts(); ; {
		err := s.tryDestroy(ctx, id, options)
		if errors.Is(err, errSuperseded) {
			err = attempt.next(ctx, err)
			if err == nil {
				continue
			}
		}
		return s.locate(err, "destroy a key", "")
	}
}

func (s *Store) tryDestroy(ctx context.Context, id KeyID, options DestroyOptions) error {
	looked, err := s.reloadKeyring(ctx)
	if err != nil {
		return err
	}
	if _, err := looked.retiredKey(id); err != nil {
		return err
	}
	if err := s.wantNoneUnder(ctx, looked, id, options); err != nil {
		return err
	}
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if ring.current.ID() != looked.current.ID() {
			return errSuperseded
		}
		i, err := ring.retiredKey(id)
		if err != nil {
			return err
		}
		ring.retired = slices.Delete(slices.Clone(ring.retired), i, i+1)
		return nil
	})
}

// retiredKey returns the place of a retired key that no record needs.
func (k *keyring) retiredKey(id KeyID) (int, error) {
	i := slices.IndexFunc(k.retired, func(k *seal.Key) bool { return KeyID(k.ID()) == id })
	switch {
	case KeyID(k.current.ID()) == id:
		return i, &Error{Kind: ErrUsage, Message: fmt.Sprintf("%v is the current data key", id),
			Hint: "replace it first: nebula key rotate"}
	case i < 0:
		return i, &Error{Kind: ErrNotFound, Message: fmt.Sprintf("the keyring holds no retired key %v", id)}
	case k.rotating && i == 0:
		return i, &Error{Kind: ErrUsage, Message: fmt.Sprintf("records are still sealed under %v", id),
			Hint: "end the rotation first: nebula key rotate --resume"}
	}
	return i, nil
}

// wantNoneUnder fails if a record would be lost with the key.
func (s *Store) wantNoneUnder(ctx context.Context, ring *keyring, id KeyID, options DestroyOptions) error {
	pass := &recordPass{store: s, ring: ring, progress: options.Progress, jobs: s.options.MaxConcurrency}
	err := pass.run(ctx, func(ctx context.Context, name Name) (unreadable, err error) {
		_, key, unreadable, err := pass.retrieve(ctx, name, anyRecord)
		if unreadable == nil && err == nil && KeyID(key.ID()) == id {
			unreadable = &Error{Kind: ErrCorrupted, Err: errRetired, Message: "the record is sealed under the key that is to be destroyed",
				Hint: "seal it anew with: nebula restore ID"}
		}
		return unreadable, err
	})
	if err != nil {
		return err
	}
	if lost := pass.unwilling(options.Leave); len(lost) > 0 {
		return refuse(lost, "the key was not destroyed, since these might need it", "nebula key destroy ID")
	}
	return nil
}
