package nebula

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// Mark is the newest state of a credential that was seen.
type Mark struct {
	LastModified time.Time
	LastAccessed time.Time // zero if it was absent
	Record       [32]byte  // SHA-256 of the record
	KeyID        KeyID     // of the data key that sealed it
	MAC          [32]byte  // of all above, under that key

	// DeletedAt is the time when a deletion of the credential was acknowledged,
	// and zero while it is not deleted. It is not authenticated, because
	// deleting needs no key.
	DeletedAt time.Time
}

// MarkRetention is how long a [Mark] is kept after its credential was deleted.
const MarkRetention = 400 * 24 * time.Hour

// RollbackGuard remembers, outside the backend, the newest state of each
// credential that was read or written here. If somebody puts back an older
// authentic record, that is then noticed. Its marks are authenticated under the
// data key. If a mark is removed, it is learnt anew. So the guard keeps all
// marks but those whose DeletedAt lies more than [MarkRetention] back.
// [GuardFile] implements it.
type RollbackGuard interface {
	// Load returns the mark of a credential of the store at an address.
	Load(address string, id ID) (Mark, bool, error)

	// Update changes one mark. If change returns false, it removes the mark or
	// makes none. No other Update comes between the argument and the result of
	// change. change may be called again, by any goroutine, and the last call
	// counts.
	Update(address string, id ID, change func(old Mark, found bool) (Mark, bool)) error

	// CheckRoom fails with ErrUsage if the credential has no mark and the guard
	// can hold no more. It is called before a credential is written.
	CheckRoom(address string, id ID) error
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

func (s *Store) mac(name Name, m Mark, key *seal.Key) [32]byte {
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

// loadMark returns the mark of a credential, and a keyring that is as new as the
// mark. A mark under a key of the keyring must be authentic. A mark under a
// destroyed data key can no longer be verified, and still counts: otherwise an
// old record would pass once its key is gone.
func (s *Store) loadMark(ctx context.Context, name Name, ring *keyring) (seenMark, *keyring, error) {
	mark, found, err := s.options.RollbackGuard.Load(s.guardAddress(), name.ID())
	if err != nil || !found {
		return seenMark{}, ring, err
	}
	key := ring.keyByID(mark.KeyID)
	if key == nil {
		// The keyring may have been replaced since it was read.
		if ring, err = s.reloadKeyring(ctx); err != nil {
			return seenMark{}, ring, err
		}
		if key = ring.keyByID(mark.KeyID); key == nil {
			return seenMark{mark, true}, ring, nil
		}
	}
	want := s.mac(name, mark, key)
	if subtle.ConstantTimeCompare(want[:], mark.MAC[:]) != 1 {
		return seenMark{}, ring, &Error{Kind: ErrCorrupted,
			Message: "the rollback guard's mark of this credential is not authentic",
			Hint:    "find out who wrote the guard's file; then remove the line of this credential from it"}
	}
	return seenMark{mark, true}, ring, nil
}

// allows reports whether a record may take the place of the marked one: if it
// is later, or if it has the same age and is the same record, was written anew
// by access tracking, or was sealed anew by a rotation, under a later key.
func (k *keyring) allows(mark Mark, e *Envelope) bool {
	m := &e.metadata
	if !m.LastModified.Equal(mark.LastModified) {
		return m.LastModified.After(mark.LastModified)
	}
	return mark.Record == sha256.Sum256(e.raw) || m.LastAccessed.After(mark.LastAccessed) ||
		k.ageOf(e.KeyID()) < k.ageOf(mark.KeyID)
}

// ageOf returns how many keys came after the one of that id. A key that is not
// in the keyring was destroyed, and is older than all others.
func (k *keyring) ageOf(id KeyID) int {
	keys := k.all()
	for i, key := range keys {
		if KeyID(key.ID()) == id {
			return i
		}
	}
	return len(keys)
}
