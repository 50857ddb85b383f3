package nebula

import (
	"context"

	"github.com/nebula-credential/nebula/internal/seal"
)

// KeptKey is a data key that was opened before, perhaps by another process.
type KeptKey struct {
	Secret [32]byte

	// Pinned says that the process that opened it knew which key the store has,
	// by a pin or from the configuration. A key that is not pinned counts as
	// one from a slot that anyone can make.
	Pinned bool
}

// DataKeys keep opened data keys, so that a store is opened once for several
// processes. The methods do not fail: if a key cannot be got or kept, it is not
// there, and the implementation reports why.
type DataKeys interface {
	// Get returns the data key of the store at an address. It is used only if
	// the store's keyring is sealed under it, and the keyring is then compared
	// with the pin as always.
	Get(ctx context.Context, address string) (KeptKey, bool)

	// Keep receives the data key of a store that was opened with one of the
	// Keys, after its keyring was compared with the pin.
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

// keep gives the data key of an opened and trusted keyring to DataKeys.
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

// address returns the address by which other processes know the store, or "" if
// the store ends with this process.
func (s *Store) address() string {
	d := s.description
	if d.Address == "" {
		return ""
	}
	return d.Provider + ":" + d.Address
}

// isAnyones reports whether the keyring was opened in a way that does not show
// who made it.
func (k *keyring) isAnyones() bool { return k.kept || anyoneCanMake(k.openedBy.Kind) }
