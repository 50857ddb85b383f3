package nebula

import (
	"context"
	"errors"
)

// Restore brings back a deleted credential. It fails with ErrNotSupported if
// the backend keeps no deleted credentials, ErrNotFound if there is nothing to
// bring back, ErrConflict if the credential is live.
func (s *Store) Restore(ctx context.Context, id ID) error {
	const op = "restore"
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return s.locate(err, op, id)
	}
	// Even if the backend keeps nothing of a deleted credential, a record can
	// have come back from a backup that is older than the data key.
	restored := s.lacks(op, id, "restoring a deleted credential")
	r, ok := As[Restorer](s.provider)
	if ok {
		restored = r.Restore(ctx, name)
		s.wrote(name, restored)
	} else if found, err := s.provider.Exists(ctx, name); err != nil {
		return s.locate(err, op, id)
	} else if !found {
		if missing := s.wantStore(ctx); missing != nil {
			return s.locate(missing, op, id)
		}
		return restored
	}
	live := !ok || errors.Is(restored, ErrConflict)
	if restored != nil && !live {
		return s.locate(s.explainAbsence(ctx, restored), op, id)
	}
	if scope != "" {
		// Only now can its scope be told.
		mine, err := s.inScope(ctx, name, scope)
		if err == nil && !mine && !live {
			_, err = s.provider.Delete(ctx, name, Precondition{})
		}
		if err == nil && !mine {
			err = notFound()
		}
		if err != nil {
			return s.locate(err, op, id)
		}
	}
	// An earlier call may have restored a live one and failed to seal it.
	sealed, err := s.sealRestored(ctx, name, live)
	if err == nil && !sealed {
		err = restored
	}
	return s.locate(err, op, id)
}

// sealRestored seals a record anew if it was deleted before the data key was
// replaced, and so is still under the old key. It marks the record as the
// newest, because the user asked for it by name. It reports whether it sealed.
func (s *Store) sealRestored(ctx context.Context, name Name, live bool) (sealed bool, err error) {
	for attempt := newAttempts(); ; {
		sealed, err = s.trySealRestored(ctx, name, live)
		if !errors.Is(err, ErrConflict) {
			return sealed, err
		}
		if err := attempt.next(ctx, err); err != nil {
			return false, err
		}
	}
}

func (s *Store) trySealRestored(ctx context.Context, name Name, live bool) (sealed bool, err error) {
	record, err := s.provider.Retrieve(ctx, name)
	if err != nil {
		return false, err
	}
	// The key ids are in clear: as a rule they agree, and no key is needed.
	keyring, err := s.retrieveKeyring(ctx)
	guarded := s.options.RollbackGuard != nil && !live
	if err != nil || !guarded && keyring.Envelope.keyID == record.Envelope.keyID {
		return false, err
	}
	ring, err := s.reloadHeld(ctx)
	if err != nil {
		return false, err
	}
	key, err := ring.keyFor(name, record.Envelope, anyRecord)
	if err != nil {
		return false, err
	}
	if key != ring.current {
		if record.Envelope, err = s.sealAnew(ctx, name, record, key, ring); err != nil {
			return false, err
		}
	}
	return key != ring.current, s.setMark(name, record.Envelope, ring.keyring)
}
