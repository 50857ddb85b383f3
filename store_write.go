package nebula

import (
	"context"
	"errors"
	"time"
)

// writing is how a record is written.
type writing struct {
	condition Precondition
	previous  *Envelope // the record that is written over, if it is at hand
	pre       *prefetch
	overMark  bool // whatever the rollback guard holds
	access    bool // notes that the credential was read
}

// write seals and stores. A version beside an error says that the record is
// stored.
func (s *Store) write(ctx context.Context, name Name, secret Secret, m Metadata, w writing) (Version, error) {
	if err := m.Validate(); err != nil {
		return "", err
	}
	if err := s.checkRoom(name); err != nil {
		return "", err
	}
	ring, err := s.writersKeyring(ctx, w.pre)
	if err != nil {
		return "", err
	}
	e, v, err := s.storeSealed(ctx, name, secret, m, w, ring)
	if err != nil {
		return "", err
	}
	if w.overMark {
		err = s.setMark(name, e, ring.keyring, func(Mark) bool { return false })
	} else {
		v, err = s.passMark(ctx, name, secret, m, w, e, v, ring)
	}
	if err != nil {
		return v, storedUnmarked(err)
	}
	return v, nil
}

func (s *Store) storeSealed(ctx context.Context, name Name, secret Secret, m Metadata, w writing, ring *heldKeyring) (*Envelope, Version, error) {
	e := sealEnvelope(ring.current, name, secret.Reveal(), m, nil)
	if limit := s.description.MaxRecordSize; limit > 0 && len(e.raw) > limit {
		return nil, "", tooLarge(len(e.raw), limit, s.description.Provider)
	}
	ctx, cancel := s.whileKeyHolds(ctx, ring)
	defer cancel()
	v, err := s.provider.Store(ctx, name, e, StoreOptions{Precondition: w.condition, Previous: w.previous})
	return e, v, err
}

// passMark marks a record that was stored. If the mark has moved past its time
// meanwhile (another process put the credential, and deleted it), the record is
// sealed again with a later time, before the write is acknowledged.
func (s *Store) passMark(ctx context.Context, name Name, secret Secret, m Metadata, w writing, e *Envelope, v Version, ring *heldKeyring) (Version, error) {
	for attempt := newAttempts(); ; {
		ahead, err := s.markWritten(name, e, ring.keyring)
		// Noting an access does not change the time of the last change.
		if err != nil || ahead.IsZero() || w.access {
			return v, err
		}
		m.LastModified = laterThan(ahead, s.now())
		again := writing{condition: IfVersion(v), previous: e}
		if s.description.NoPreconditions {
			again.condition = Precondition{}
		}
		later, newest, err := s.storeSealed(ctx, name, secret, m, again, ring)
		switch {
		case err == nil:
			e, v = later, newest
		case errors.Is(err, ErrKeyChanged):
			if ring, err = s.reloadHeld(ctx); err == nil {
				err = attempt.next(ctx, ErrKeyChanged)
			}
		case errors.Is(err, ErrConflict):
			return v, nil // it was stored, and another writer came after it
		}
		if err != nil {
			return v, err
		}
	}
}

func storedUnmarked(err error) error {
	return &Error{Kind: KindOf(err), Err: err, Hint: "put it again, once that is mended",
		Message: "the credential is stored, but the rollback guard does not know it and may refuse it: " + err.Error()}
}

// whileKeyHolds bounds a write: when a rotation looks for the last records under
// the old key, none may come in any more.
func (s *Store) whileKeyHolds(ctx context.Context, ring *heldKeyring) (context.Context, context.CancelFunc) {
	if s.description.ComparesKeyring {
		return ctx, func() {}
	}
	const margin = 5 * time.Second // for an answer that is under way
	return context.WithTimeout(ctx, settleTime-margin-s.age(ring))
}

// writersKeyring returns a fresh keyring, and makes the first one if the
// store may.
func (s *Store) writersKeyring(ctx context.Context, pre *prefetch) (*heldKeyring, error) {
	ring, err := s.freshKeyring(ctx, pre)
	if !errors.Is(err, ErrNotInitialised) {
		return ring, err
	}
	// A key file that is made for a store whose keyring was lost would only
	// add to the confusion.
	if found := s.wantNoRecords(ctx); found != nil {
		return nil, found
	}
	if s.options.FirstKey == nil {
		return nil, err
	}
	key, err := s.options.FirstKey(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.initialise(ctx, key)
	if err != nil && !errors.Is(err, ErrAlreadyExists) { // another process came first
		return nil, err
	}
	return s.freshKeyring(ctx, &prefetch{})
}

// noteAccess writes last_accessed. The value was just read, and a failure is
// no reason not to return it.
func (s *Store) noteAccess(ctx context.Context, name Name, c *Credential, e *Envelope) {
	m := c.Metadata.clone()
	m.LastAccessed = laterThan(m.LastAccessed, s.now())
	v, _ := s.write(ctx, name, c.Secret, m, writing{condition: IfVersion(c.Version), previous: e, pre: &prefetch{}, access: true})
	if v != "" {
		c.Metadata, c.Version = m, v
	}
}

func (s *Store) author(ctx context.Context) string {
	if s.options.CreatedBy != "" {
		return s.options.CreatedBy
	}
	return CallerFrom(ctx).Owner
}

// now returns the time as records hold it.
func (s *Store) now() time.Time { return s.options.Now().UTC().Truncate(time.Microsecond) }
