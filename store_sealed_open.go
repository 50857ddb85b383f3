package nebula

import "context"

// OpenSealed opens a record that was sealed elsewhere under a data key of this
// store, current or retired, and changes nothing. The Credential has no Version.
//
// Errors: those of [Store.PutSealed] that concern the record and the keys.
func (s *Store) OpenSealed(ctx context.Context, id ID, e *Envelope) (Credential, error) {
	c, err := s.openSealed(ctx, id, e)
	return c, s.locate(err, "open", id)
}

func (s *Store) openSealed(ctx context.Context, id ID, e *Envelope) (Credential, error) {
	name, scope, err := s.prepare(ctx, id)
	if err == nil {
		err = checkArrival(e, scope)
	}
	if err != nil {
		return Credential{}, err
	}
	_, key, err := s.arrivalKey(ctx, name, e)
	if err != nil {
		return Credential{}, err
	}
	plaintext, err := e.open(key, name)
	if err != nil {
		return Credential{}, damagedRecord(err)
	}
	return Credential{ID: id, Secret: takeSecret(plaintext), Metadata: e.metadata.clone()}, nil
}

// HoldsKeyring reports whether a keyring from elsewhere belongs to this store:
// whether it has the store's data key, or a retired one. If it does and cannot be
// opened, HoldsKeyring fails with ErrCorrupted. It also fails as [Store.Unlock]
// does.
func (s *Store) HoldsKeyring(ctx context.Context, keyring *Envelope) (bool, error) {
	const op = "open the keyring"
	if keyring == nil || keyring.slots == nil {
		return false, s.locate(&Error{Kind: ErrUsage, Message: "this is not the record of a keyring"}, op, "")
	}
	held, err := s.freshKeyring(ctx, &prefetch{})
	if err == nil && held.keyByID(keyring.KeyID()) == nil { // it may have been replaced since it was read
		held, err = s.reloadHeld(ctx)
	}
	if err != nil {
		return false, s.locate(err, op, "")
	}
	key := held.keyByID(keyring.KeyID())
	if key == nil {
		return false, nil
	}
	_, err = readKeyring(Record{Envelope: keyring}, key, Slot{})
	return err == nil, s.locate(err, op, "")
}
