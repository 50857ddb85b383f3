package nebula

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// writing describes how to write a record.
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
	seen, err := s.seenBefore(name)
	if err != nil {
		return "", err
	}
	e, v, err := s.storeSealed(ctx, name, secret, m, w, ring)
	if err != nil {
		return "", err
	}
	if w.overMark {
		err = s.setMark(name, e, ring.keyring)
	} else if s.options.RollbackGuard != nil {
		v, err = s.passMark(ctx, stored{name, secret, m, e, v}, w, ring, seen)
	}
	if err != nil {
		return v, storedUnmarked(err)
	}
	return v, nil
}

func (s *Store) storeSealed(ctx context.Context, name Name, secret Secret, m Metadata, w writing, ring *heldKeyring) (*Envelope, Version, error) {
	e := sealEnvelope(ring.current, name, secret.Reveal(), m, nil)
	v, err := s.storeEnvelope(ctx, name, e, StoreOptions{Precondition: w.condition, Previous: w.previous}, ring)
	return e, v, err
}

// storeEnvelope stores a record that is sealed under the current key of ring.
func (s *Store) storeEnvelope(ctx context.Context, name Name, e *Envelope, options StoreOptions, ring *heldKeyring) (v Version, err error) {
	if limit := s.description.MaxRecordSize; limit > 0 && len(e.raw) > limit {
		return "", tooLarge(len(e.raw), limit, s.description.Provider)
	}
	ctx, cancel := s.whileKeyHolds(ctx, ring)
	defer cancel()
	v, err = s.provider.Store(ctx, name, e, options)
	s.wrote(name, err)
	return v, err
}

// stored is a record that was written and is not yet acknowledged.
type stored struct {
	name     Name
	secret   Secret
	metadata Metadata
	envelope *Envelope
	version  Version
}

// seenBefore returns the mark before a write.
func (s *Store) seenBefore(name Name) (seenMark, error) {
	if s.options.RollbackGuard == nil {
		return seenMark{}, nil
	}
	mark, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	return seenMark{mark, found}, err
}

// passMark marks the stored record, so that no acknowledged write is refused
// when it is read. If the mark has moved past its time (another process has put
// the credential, and deleted it, meanwhile), the record is sealed again with a
// later time. If the mark has moved otherwise, the stored record is marked only
// if it is still there.
func (s *Store) passMark(ctx context.Context, r stored, w writing, ring *heldKeyring, seen seenMark) (Version, error) {
	for attempt := newAttempts(); ; {
		// The mark may be under a key that is newer than the writer's keyring.
		var err error
		if seen.found && ring.keyByID(seen.KeyID) == nil {
			ring, err = s.reloadHeld(ctx)
		}
		switch {
		case err != nil:
			return r.version, err
		case ring.keyByID(r.envelope.KeyID()) == nil: // destroyed: it was sealed anew, or written over
			err = errRaced
		case seen.found && !ring.allows(seen.Mark, r.envelope):
			if w.access { // which does not change the time of the last change
				return r.version, nil
			}
			err = s.storeLater(ctx, &r, seen.LastModified, &ring)
		default:
			var moved bool
			if seen, moved, err = s.moveMark(r.name, r.envelope, ring.keyring, seen); moved || err != nil {
				return r.version, err
			}
			err = errRaced
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errRaced) {
			return r.version, err
		}
		if err := attempt.next(ctx, err); err != nil {
			return r.version, err
		}
		if there, err := s.find(ctx, &r); err != nil || !there {
			return r.version, err // another writer came after it
		}
		if ring.keyByID(r.envelope.KeyID()) == nil {
			if ring, err = s.reloadHeld(ctx); err != nil {
				return r.version, err
			}
		}
	}
}

// storeLater seals the stored record again, with a time after the mark's. It
// fails with errRaced if another writer or a rotation came between.
func (s *Store) storeLater(ctx context.Context, r *stored, mark time.Time, ring **heldKeyring) error {
	held, err := s.freshKeyring(ctx, &prefetch{})
	if err != nil {
		return err
	}
	later := r.metadata
	later.LastModified = laterThan(mark, s.now())
	again := writing{condition: IfVersion(r.version), previous: r.envelope}
	if s.description.NoPreconditions {
		again.condition = Precondition{}
	}
	e, v, err := s.storeSealed(ctx, r.name, r.secret, later, again, held)
	switch {
	case err == nil:
		r.envelope, r.version, r.metadata, *ring = e, v, later, held
	case errors.Is(err, ErrKeyChanged):
		if _, err = s.reloadHeld(ctx); err == nil {
			err = errRaced
		}
	case errors.Is(err, ErrConflict):
		err = errRaced
	}
	return err
}

// find reports whether the stored record is still there, and how it is stored
// now: a rotation may have sealed it anew since.
func (s *Store) find(ctx context.Context, r *stored) (bool, error) {
	record, err := s.provider.Retrieve(ctx, r.name)
	switch {
	case errors.Is(err, ErrNotFound), isUnreadable(err):
		return false, nil
	case err != nil:
		return false, err
	case !record.Envelope.metadata.LastModified.Equal(r.metadata.LastModified):
		return false, nil
	}
	ring, err := s.keyringFor(ctx, record.Envelope, &prefetch{})
	if err != nil {
		return false, err
	}
	key, err := ring.keyFor(r.name, record.Envelope, currentRecord)
	if err != nil {
		return false, nil
	}
	plaintext, err := record.Envelope.open(key, r.name)
	defer clear(plaintext)
	if err != nil || !bytes.Equal(plaintext, r.secret.Reveal()) {
		return false, nil
	}
	r.envelope, r.version = record.Envelope, record.Version
	return true, nil
}

func storedUnmarked(err error) error {
	return &Error{Kind: KindOf(err), Err: err, Hint: "put it again, once that is mended",
		Message: "the credential is stored, but the rollback guard does not know it and may refuse it: " + err.Error()}
}

// whileKeyHolds limits the time of a write: when a rotation looks for the last
// records under the old key, no more may be stored.
func (s *Store) whileKeyHolds(ctx context.Context, ring *heldKeyring) (context.Context, context.CancelFunc) {
	if s.description.ComparesKeyring {
		return ctx, func() {}
	}
	const margin = 5 * time.Second // for an answer that is under way
	return context.WithTimeout(ctx, settleTime-margin-s.age(ring))
}

// writersKeyring returns a fresh keyring. It makes the first one if the store
// allows that.
func (s *Store) writersKeyring(ctx context.Context, pre *prefetch) (*heldKeyring, error) {
	ring, err := s.freshKeyring(ctx, pre)
	if !errors.Is(err, ErrNotInitialised) {
		return ring, err
	}
	// If the keyring of the store was lost, a new key file would only add to
	// the confusion.
	switch found := s.wantNoRecords(ctx); {
	case errors.Is(found, ErrAlreadyExists): // another process came first
		return s.freshKeyring(ctx, &prefetch{})
	case found != nil:
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
	switch {
	case errors.Is(err, ErrAlreadyExists): // another process came first
	case err != nil:
		return nil, err
	case s.options.Initialised != nil:
		s.options.Initialised()
	}
	return s.freshKeyring(ctx, &prefetch{})
}

// noteAccess writes last_accessed. The value has been read, so it is returned
// even if this fails.
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
