package nebula

import (
	"context"

	"github.com/nebula-credential/nebula/internal/seal"
)

// KeptKey is a data key that was opened before, by another process perhaps.
type KeptKey struct {
	Secret [32]byte

	// Pinned says that whoever opened it knew which key the store has, by a pin
	// or from the configuration. A key that is not pinned counts as one from a
	// slot that anyone can make.
	Pinned bool
}

// DataKeys keep opened data keys, so that one store is opened once for several
// processes. Neither method fails: a key that cannot be had or kept is one that
// is not there, and what is wrong is for the implementation to tell.
type DataKeys interface {
	// Get returns the data key of the store at an address. It is used only if
	// it is the one that the store's keyring is sealed under, and the keyring is
	// then held against the pin as any other.
	Get(ctx context.Context, address string) (KeptKey, bool)

	// Keep is told of the data key of a store that was opened with one of the
	// Keys and whose keyring was held against the pin.
	Keep(ctx context.Context, address string, key KeptKey)
}

// openKept opens a keyring's record with a data key that is kept for it, and
// opens no slot. It returns nil if there is none.
func (s *Store) openKept(ctx context.Context, record Record) (*keyring, error) {
	address := s.address()
	if s.options.DataKeys == nil || address == "" {
		return nil, nil
	}
	kept, found := s.options.DataKeys.Get(ctx, address)
	if !found {
		return nil, nil
	}
	key := seal.NewKey(kept.Secret)
	clear(kept.Secret[:])
	if key.ID() != record.Envelope.keyID {
		return nil, nil // of a store that was rotated since, or another one's
	}
	ring, err := readKeyring(record, key, Slot{})
	if err != nil {
		return nil, err
	}
	ring.kept, ring.vouched = true, kept.Pinned
	return ring, nil
}

// keep has the data key of a keyring kept that was opened and is trusted.
func (s *Store) keep(ctx context.Context, ring *keyring) {
	address := s.address()
	if s.options.DataKeys == nil || address == "" || ring.kept {
		return
	}
	if held := s.ring.Load(); held != nil && held.current.ID() == ring.current.ID() {
		return // it was kept when it was opened
	}
	s.options.DataKeys.Keep(ctx, address, KeptKey{Secret: ring.current.Secret(), Pinned: ring.pinned})
}

// address returns what the store is known by to other processes, "" if it ends
// with this one.
func (s *Store) address() string {
	d := s.description
	if d.Address == "" {
		return ""
	}
	return d.Provider + ":" + d.Address
}

// isAnyones reports whether what opened the keyring says nothing of who made it.
func (k *keyring) isAnyones() bool { return k.kept || anyoneCanMake(k.openedBy.Kind) }
