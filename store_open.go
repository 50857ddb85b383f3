package nebula

import (
	"context"
	"errors"

	"github.com/nebula-credential/nebula/internal/seal"
)

// Which keys may open a record.
type openRule bool

const (
	currentRecord openRule = false // those in use
	anyRecord     openRule = true  // retired ones too: an old version
)

// retrieve reads a record and opens it. Between the two another process may
// have written a newer one, and marked that: then the newer one is read.
func (s *Store) retrieve(ctx context.Context, name Name, pre *prefetch, accept func(Record) error) (Credential, Record, error) {
	record, err := s.provider.Retrieve(ctx, name)
	for {
		if err == nil {
			err = accept(record)
		}
		if err != nil {
			return Credential{}, record, err
		}
		c, err := s.open(ctx, name, record, pre, currentRecord)
		if !errors.Is(err, ErrRolledBack) {
			return c, record, err
		}
		newer, failed := s.provider.Retrieve(ctx, name)
		if failed != nil || newer.Version == record.Version {
			return Credential{}, record, err
		}
		record = newer
	}
}

// open returns the credential in the record.
func (s *Store) open(ctx context.Context, name Name, r Record, pre *prefetch, rule openRule) (Credential, error) {
	ring, err := s.keyring(ctx, pre)
	if errors.Is(err, ErrNotInitialised) {
		return Credential{}, recordsWithoutKeyring(err)
	}
	if err != nil {
		return Credential{}, err
	}
	if !ring.knows(r.Envelope.keyID) {
		// It may have been replaced since it was read.
		if ring, err = s.reloadKeyring(ctx); err != nil {
			return Credential{}, err
		}
	}
	key, err := ring.keyFor(name, r.Envelope, rule)
	if err != nil {
		return Credential{}, err
	}
	plaintext, err := r.Envelope.open(key, name)
	if err != nil {
		return Credential{}, damagedRecord(err)
	}
	if rule == currentRecord {
		if err := s.guardRead(name, r.Envelope, ring); err != nil {
			clear(plaintext)
			return Credential{}, err
		}
	}
	return Credential{
		ID:       name.ID(),
		Secret:   takeSecret(plaintext),
		Version:  r.Version,
		Metadata: r.Envelope.metadata.clone(),
	}, nil
}

func damagedRecord(cause error) error {
	return &Error{Kind: ErrCorrupted, Err: cause,
		Message: "the record was damaged, edited, or swapped with another one",
		Hint:    "restore it from a backup, or put the value again with --force"}
}

// knows reports whether the id is of a key in the keyring, in use or retired.
func (k *keyring) knows(id [seal.KeyIDSize]byte) bool {
	if k.current.ID() == id {
		return true
	}
	for _, key := range k.retired {
		if key.ID() == id {
			return true
		}
	}
	return false
}

// keyFor returns the key that the record says it is sealed under, if it may
// open such a record.
func (k *keyring) keyFor(name Name, e *Envelope, rule openRule) (*seal.Key, error) {
	if k.current.ID() == e.keyID {
		return k.current, nil
	}
	for i, key := range k.retired {
		switch {
		case key.ID() != e.keyID:
		case rule == anyRecord, k.rotating && i == 0:
			return key, nil
		default:
			return nil, &Error{Kind: ErrCorrupted, Message: "the record is sealed under a retired key",
				Hint: "it is a copy of an older state; restore the current one from a backup, or put the value again with --force"}
		}
	}
	// The id may be what was damaged: the commitment tells.
	for _, key := range append([]*seal.Key{k.current}, k.retired...) {
		if key.Fits(name.s, e.sealed) {
			return nil, &Error{Kind: ErrCorrupted, Message: "the record's key id was damaged or edited",
				Hint: "restore it from a backup, or put the value again with --force"}
		}
	}
	return nil, &Error{Kind: ErrWrongKey,
		Message: "the record is sealed under the data key " + e.KeyID().String() + ", this store's is " + KeyID(k.current.ID()).String(),
		Hint:    "it comes from another store; open it with the key of that one"}
}
