package nebula

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula/internal/seal"
)

// SwitchKey replaces the data key as a rotation does, without sealing records
// anew: they are then under a key that is being retired (rotating) or retired.
func SwitchKey(ctx context.Context, s *Store, key Key, rotating bool) error {
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if !ring.rotating {
			ring.retired = slices.Insert(slices.Clone(ring.retired), 0, ring.current)
			ring.current = seal.GenerateKey()
			ring.switchedAt = s.now()
		}
		ring.rotating = rotating
		ring.slots = nil
		slot, err := ring.wrapFor(ctx, key)
		ring.slots = append(ring.slots, slot)
		return err
	})
}
