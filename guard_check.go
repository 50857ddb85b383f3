package nebula

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
)

// guardRead holds a record that was opened against its mark, and moves the
// mark on.
func (s *Store) guardRead(ctx context.Context, name Name, e *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark, found, ring, err := s.loadMark(ctx, name, ring)
	if err != nil {
		return err
	}
	if !found {
		return s.learn(name, e, ring)
	}
	if !ring.allows(mark, e) {
		return &Error{Kind: ErrRolledBack,
			Message: fmt.Sprintf("the record is of %s, and one of %s was seen before: an older copy was put in its place",
				canon.AppendTime(nil, e.metadata.LastModified), canon.AppendTime(nil, mark.LastModified)),
			Hint: "restore the newer one from a backup; if the older one is meant, put its value again with --force"}
	}
	if mark.Record == sha256.Sum256(e.raw) && mark.DeletedAt.IsZero() {
		return nil
	}
	return s.moveMark(name, e, ring)
}

// learn marks a record that is seen for the first time, if there is room: a
// record can be read all the same.
func (s *Store) learn(name Name, e *Envelope, ring *keyring) error {
	err := s.options.RollbackGuard.CheckRoom(s.guardAddress(), name.ID())
	if KindOf(err) == ErrUsage {
		s.warnFull.Do(func() {
			s.options.Logger.Warn("the rollback guard is full: older copies of what is read for the first time would not be noticed",
				"reason", err.Error())
		})
		return nil
	}
	if err != nil {
		return err
	}
	return s.moveMark(name, e, ring)
}

// moveMark marks a record, unless a newer one is marked.
func (s *Store) moveMark(name Name, e *Envelope, ring *keyring) error {
	return s.setMark(name, e, ring, func(old Mark) bool { return newer(old, e.metadata) })
}

// newer reports whether a mark is of a newer state than the metadata.
func newer(mark Mark, m Metadata) bool {
	return mark.LastModified.After(m.LastModified) ||
		mark.LastModified.Equal(m.LastModified) && mark.LastAccessed.After(m.LastAccessed)
}

// resealMark moves the mark of a record that was sealed anew, if it was of the
// one before: the key of that one may be destroyed next.
func (s *Store) resealMark(name Name, before, after *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found || mark.Record != sha256.Sum256(before.raw) {
		return err
	}
	return s.moveMark(name, after, ring)
}

func (s *Store) setMark(name Name, e *Envelope, ring *keyring, keep func(old Mark) bool) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark := s.markOf(name, e, ring)
	return s.options.RollbackGuard.Update(s.guardAddress(), name.ID(), func(old Mark, found bool) (Mark, bool) {
		if found && keep(old) {
			return old, true
		}
		return mark, true
	})
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
	mark, found, _, err := s.loadMark(ctx, name, ring)
	if err != nil && !(force && errors.Is(err, ErrCorrupted)) {
		return now, err
	}
	if found {
		now = laterThan(mark.LastModified, now)
	}
	return now, nil
}

// laterThan returns now, or the first time after earlier that records hold.
func laterThan(earlier, now time.Time) time.Time {
	if now.After(earlier) {
		return now
	}
	return earlier.Truncate(time.Microsecond).Add(time.Microsecond)
}

// markWritten marks a record that was written. If the mark has moved past it
// since its time was chosen, the record would be refused when it is read: then
// the mark stays, and its time is returned.
func (s *Store) markWritten(name Name, e *Envelope, ring *keyring) (ahead time.Time, err error) {
	err = s.setMark(name, e, ring, func(old Mark) bool {
		if ring.allows(old, e) {
			return false
		}
		ahead = old.LastModified
		return true
	})
	return ahead, err
}

// beginDeletion returns what notes a deletion in the mark, once it is
// acknowledged. A mark that moves in between is of what another process wrote.
func (s *Store) beginDeletion(name Name) (acknowledged func()) {
	if s.options.RollbackGuard == nil {
		return func() {}
	}
	before, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found {
		return func() {} // the mark that there may be is kept
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
