package nebula

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
)

// seenMark is a mark as it was loaded. A mark moves only if it is still the one
// that was loaded before the record was read or written. If it has moved since,
// another process knows a state that may have come after this one.
type seenMark struct {
	Mark
	found bool
}

// guardRead compares an opened record with its mark, and moves the mark on.
func (s *Store) guardRead(ctx context.Context, name Name, e *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	seen, ring, err := s.loadMark(ctx, name, ring)
	if err != nil {
		return err
	}
	if ring.keyByID(e.KeyID()) == nil { // it was destroyed meanwhile, after the record was sealed anew
		return ring.whyUnknown(name, e)
	}
	if !seen.found {
		return s.learn(name, e, ring)
	}
	if !ring.allows(seen.Mark, e) {
		return olderThanMark(e, seen.Mark)
	}
	if seen.Record == sha256.Sum256(e.raw) && seen.DeletedAt.IsZero() {
		return nil
	}
	_, _, err = s.moveMark(name, e, ring, seen)
	return err
}

func olderThanMark(e *Envelope, mark Mark) error {
	return &Error{Kind: ErrRolledBack,
		Message: fmt.Sprintf("the record is of %s, and one of %s was seen before: an older copy was put in its place",
			canon.AppendTime(nil, e.metadata.LastModified), canon.AppendTime(nil, mark.LastModified)),
		Hint: "restore the newer one from a backup; if the older one is meant, put its value again with --force"}
}

// learn marks a record that is seen for the first time, if there is room.
// Without room the record can still be read.
func (s *Store) learn(name Name, e *Envelope, ring *keyring) error {
	err := s.options.RollbackGuard.CheckRoom(s.guardAddress(), name.ID())
	if KindOf(err) == ErrUsage {
		s.warnFull.Do(func() {
			s.options.Logger.Warn("the rollback guard is full: older copies of what is read for the first time would not be noticed",
				"reason", err.Error())
		})
		return nil
	}
	if err == nil {
		_, _, err = s.moveMark(name, e, ring, seenMark{})
	}
	return err
}

// moveMark marks a record if the mark is still the one that was seen, and
// returns the mark that it found.
func (s *Store) moveMark(name Name, e *Envelope, ring *keyring, seen seenMark) (now seenMark, moved bool, err error) {
	mark := s.markOf(name, e, ring)
	err = s.options.RollbackGuard.Update(s.guardAddress(), name.ID(), func(old Mark, found bool) (Mark, bool) {
		now, moved = seenMark{old, found}, false
		if now != seen {
			return old, found
		}
		moved = true
		return mark, true
	})
	return now, moved, err
}

// resealMark moves the mark of a record that was sealed anew, if the mark was
// that of the earlier record, whose key may be destroyed next.
func (s *Store) resealMark(name Name, before, after *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found || mark.Record != sha256.Sum256(before.raw) {
		return err
	}
	_, _, err = s.moveMark(name, after, ring, seenMark{mark, true})
	return err
}

// setMark marks a record whatever the mark was, because the user asked for the
// record by name.
func (s *Store) setMark(name Name, e *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark := s.markOf(name, e, ring)
	return s.options.RollbackGuard.Update(s.guardAddress(), name.ID(), func(Mark, bool) (Mark, bool) { return mark, true })
}

// checkRoom fails if the guard could not mark the credential.
func (s *Store) checkRoom(name Name) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	return s.options.RollbackGuard.CheckRoom(s.guardAddress(), name.ID())
}

// afterMark returns a time for a new version that is later than the mark. A
// mark that is not authentic counts for nothing if the write is forced.
func (s *Store) afterMark(ctx context.Context, now time.Time, name Name, pre *prefetch, force bool) (time.Time, error) {
	if s.options.RollbackGuard == nil {
		return now, nil
	}
	ring, err := s.keyring(ctx, pre)
	if errors.Is(err, ErrNotInitialised) {
		return now, nil
	}
	if err != nil {
		return now, err
	}
	mark, _, err := s.loadMark(ctx, name, ring)
	if err != nil && !(force && errors.Is(err, ErrCorrupted)) {
		return now, err
	}
	if mark.found {
		now = laterThan(mark.LastModified, now)
	}
	return now, nil
}

// laterThan returns now, or, if that is not later, the first time after earlier
// that a record can hold.
func laterThan(earlier, now time.Time) time.Time {
	if now.After(earlier) {
		return now
	}
	return earlier.Truncate(time.Microsecond).Add(time.Microsecond)
}

// beginDeletion returns a function that notes a deletion in the mark, once it
// is acknowledged. If the mark moves in between, another process has written
// the credential.
func (s *Store) beginDeletion(name Name) (acknowledged func()) {
	if s.options.RollbackGuard == nil {
		return func() {}
	}
	before, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found {
		return func() {} // a mark, if there is one, is kept
	}
	return func() {
		err := s.options.RollbackGuard.Update(s.guardAddress(), name.ID(), func(old Mark, found bool) (Mark, bool) {
			if found && old == before {
				old.DeletedAt = s.now()
			}
			return old, found
		})
		if err != nil {
			s.options.Logger.Warn("the rollback guard keeps the mark of a credential that was deleted", "reason", err.Error())
		}
	}
}
