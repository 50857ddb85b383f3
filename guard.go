package nebula

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// Mark is the newest state of a credential that was seen.
type Mark struct {
	LastModified time.Time
	LastAccessed time.Time // zero where it was absent
	Record       [sha256.Size]byte
	KeyID        KeyID // of the data key that sealed it
	MAC          [seal.MACSize]byte
}

// RollbackGuard remembers, outside the backend, the newest state of each
// credential that was read or written here: an older authentic record that is
// put back is then noticed. Its marks are authenticated under the data key. A
// mark that is removed from it is learnt anew.
type RollbackGuard interface {
	// Load returns the mark of a credential of the store at an address.
	Load(address string, id ID) (Mark, bool, error)

	// Update changes one mark. No other Update comes between what change is
	// given and what it returns.
	Update(address string, id ID, change func(old Mark, found bool) Mark) error
}

// markOf returns the mark of a record.
func (s *Store) markOf(name Name, e *Envelope, ring *keyring) Mark {
	m := Mark{
		LastModified: e.metadata.LastModified,
		LastAccessed: e.metadata.LastAccessed,
		Record:       sha256.Sum256(e.raw),
		KeyID:        e.KeyID(),
	}
	m.MAC = s.mac(name, m, ring.keyByID(m.KeyID))
	return m
}

func (s *Store) mac(name Name, m Mark, key *seal.Key) [seal.MACSize]byte {
	message := seal.AppendBytes([]byte(nil), s.guardAddress())
	message = seal.AppendBytes(message, name.s)
	message = seal.AppendBytes(message, canon.AppendTime(nil, m.LastModified))
	if m.LastAccessed.IsZero() {
		message = append(message, 0)
	} else {
		message = seal.AppendOptional(message, canon.AppendTime(nil, m.LastAccessed), true)
	}
	message = append(message, m.Record[:]...)
	message = append(message, m.KeyID[:]...)
	return key.MAC("nebula/2/guard\x00", message)
}

func (s *Store) guardAddress() string { return s.description.Provider + ":" + s.description.Address }

// loadMark returns the mark of a credential, which must be authentic. One under
// a data key that was destroyed is learnt anew, as one that was removed is.
func (s *Store) loadMark(ctx context.Context, name Name, ring *keyring) (Mark, bool, error) {
	mark, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found {
		return Mark{}, false, err
	}
	key := ring.keyByID(mark.KeyID)
	if key == nil {
		// The keyring may have been replaced since it was read.
		if ring, err = s.reloadKeyring(ctx); err != nil {
			return Mark{}, false, err
		}
		if key = ring.keyByID(mark.KeyID); key == nil {
			return Mark{}, false, nil
		}
	}
	want := s.mac(name, mark, key)
	if subtle.ConstantTimeCompare(want[:], mark.MAC[:]) != 1 {
		return Mark{}, false, &Error{Kind: ErrCorrupted,
			Message: "the rollback guard's mark of this credential is not authentic",
			Hint:    "find out who wrote the guard's file; then remove the line of this credential from it"}
	}
	return mark, true, nil
}

// guardRead holds a record that was opened against its mark, and moves the
// mark on.
func (s *Store) guardRead(ctx context.Context, name Name, e *Envelope, ring *keyring) error {
	if s.options.RollbackGuard == nil {
		return nil
	}
	mark, found, err := s.loadMark(ctx, name, ring)
	if err != nil {
		return err
	}
	if !found {
		return s.moveMark(name, e, ring)
	}
	m := &e.metadata
	older := m.LastModified.Before(mark.LastModified)
	// Of equal age are a record that was read with access tracking, and one
	// that a rotation sealed anew.
	same := m.LastModified.Equal(mark.LastModified) && sha256.Sum256(e.raw) == mark.Record
	accessed := m.LastModified.Equal(mark.LastModified) && m.LastAccessed.After(mark.LastAccessed)
	resealed := m.LastModified.Equal(mark.LastModified) && e.KeyID() != mark.KeyID && e.keyID == ring.current.ID()
	switch {
	case same:
		return nil
	case older, m.LastModified.Equal(mark.LastModified) && !accessed && !resealed:
		return &Error{Kind: ErrRolledBack,
			Message: fmt.Sprintf("the record is of %s, and one of %s was seen before: an older copy was put in its place",
				canon.AppendTime(nil, m.LastModified), canon.AppendTime(nil, mark.LastModified)),
			Hint: "restore the newer one from a backup; if the older one is meant, put its value again with --force"}
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
	return s.options.RollbackGuard.Update(s.guardAddress(), name.ID(), func(old Mark, found bool) Mark {
		if found && keep(old) {
			return old
		}
		return mark
	})
}

// afterMark returns a time for a new version that is later than the mark. A
// mark that is not authentic counts for nothing where the write is forced.
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
	mark, found, err := s.loadMark(ctx, name, ring)
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

func storedUnmarked(err error) error {
	return &Error{Kind: KindOf(err), Err: err, Message: "the credential is stored, but the rollback guard could not be written: " + err.Error()}
}
