package nebula

import (
	"context"
	"errors"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// Which keys may open a record.
type openRule bool

const (
	currentRecord openRule = false // those in use
	anyRecord     openRule = true  // retired ones too: an old version
)

// retrieve reads a record that accept accepts, and opens it.
func (s *Store) retrieve(ctx context.Context, name Name, pre *prefetch, accept func(Record) error) (Credential, Record, error) {
	record, err := s.provider.Retrieve(ctx, name)
	if err != nil {
		return Credential{}, record, err
	}
	return s.openNewest(ctx, name, record, pre, accept)
}

// openNewest opens a record that was read a moment ago. Since then another
// process may have written and marked a newer one, or ended a rotation. Then
// openNewest reads the newer one.
func (s *Store) openNewest(ctx context.Context, name Name, record Record, pre *prefetch, accept func(Record) error) (Credential, Record, error) {
	var newest time.Time
	for again := newRereads(); ; {
		if err := accept(record); err != nil {
			return Credential{}, record, err
		}
		c, err := s.open(ctx, name, record, pre, currentRecord)
		old := errors.Is(err, ErrRolledBack) || errors.Is(err, errRetired) || errors.Is(err, ErrWrongKey)
		if !old || errors.Is(err, errKeyring) {
			return c, record, err
		}
		newer, failed := s.provider.Retrieve(ctx, name)
		if failed != nil {
			return Credential{}, newer, failed
		}
		// A writer that was overtaken has stored a record that the mark has moved
		// past, and is about to seal it again with a later time.
		if newer.Version == record.Version && !errors.Is(err, ErrRolledBack) {
			return Credential{}, record, err
		}
		modified := record.Envelope.metadata.LastModified
		record = newer
		if modified.After(newest) { // others write faster than this process reads
			newest = modified
			continue
		}
		if err := again.next(ctx, err); err != nil {
			return Credential{}, record, err
		}
	}
}

// open returns the credential in the record.
func (s *Store) open(ctx context.Context, name Name, r Record, pre *prefetch, rule openRule) (Credential, error) {
	ring, err := s.keyringFor(ctx, r.Envelope, pre)
	if errors.Is(err, ErrNotInitialised) {
		return Credential{}, aboutKeyring(recordsWithoutKeyring(err))
	}
	if err != nil {
		return Credential{}, err
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
		if err := s.guardRead(ctx, name, r.Envelope, ring); err != nil {
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

// keyringFor returns a keyring for opening the record. If the held keyring has
// the record's key as the current one, that is enough. Otherwise a fresh keyring
// is needed: only that can say whether a key is still in use while it is being
// replaced, and a keyring that does not know the key may have been replaced since
// it was read.
func (s *Store) keyringFor(ctx context.Context, e *Envelope, pre *prefetch) (*keyring, error) {
	held, err := s.loadKeyring(ctx, pre, func(*heldKeyring) bool { return true })
	if err != nil {
		return nil, err
	}
	key := held.keyByID(e.KeyID())
	switch {
	case key == held.current:
	case key == nil:
		held, err = s.reloadHeld(ctx)
	case !s.isFresh(held):
		held, err = s.freshKeyring(ctx, &prefetch{})
	}
	if err != nil {
		return nil, err
	}
	return held.keyring, nil
}

// errDamaged marks a record that is not authentic, errRetired one under a key
// that is no longer in use.
var (
	errDamaged = errors.New("the record is not authentic")
	errRetired = errors.New("the key is retired")
)

func damagedRecord(cause error) error {
	return &Error{Kind: ErrCorrupted, Err: errors.Join(errDamaged, cause),
		Message: "the record was damaged, edited, or swapped with another one",
		Hint:    "restore it from a backup, or put the value again with --force"}
}

// all returns the keys of the keyring, the one in use first.
func (k *keyring) all() []*seal.Key { return append([]*seal.Key{k.current}, k.retired...) }

// keyByID returns the key of that id, in use or retired, or nil.
func (k *keyring) keyByID(id KeyID) *seal.Key {
	for _, key := range k.all() {
		if KeyID(key.ID()) == id {
			return key
		}
	}
	return nil
}

// keyFor returns the key that the record says it is sealed under, if it may
// open such a record.
func (k *keyring) keyFor(name Name, e *Envelope, rule openRule) (*seal.Key, error) {
	key := k.keyByID(e.KeyID())
	switch {
	case key == nil:
		return nil, k.whyUnknown(name, e)
	case key == k.current, rule == anyRecord, k.rotating && key == k.retired[0]:
		return key, nil
	}
	return nil, &Error{Kind: ErrCorrupted, Err: errRetired, Message: "the record is sealed under a retired key",
		Hint: "it is a copy of an older state; if you put it back from a backup, seal it anew with: nebula restore ID"}
}

// keyThatFits returns the key of keyFor if the record's commitment is to that
// key, so that the record depends on no other key.
func (k *keyring) keyThatFits(name Name, e *Envelope, rule openRule) (*seal.Key, error) {
	key, err := k.keyFor(name, e, rule)
	switch {
	case err != nil:
		return nil, err
	case key.Fits(name.s, e.sealed):
		return key, nil
	}
	return nil, damagedRecord(seal.ErrCommitment)
}

// whyUnknown tells a damaged key id from the record of another store.
func (k *keyring) whyUnknown(name Name, e *Envelope) error {
	for _, key := range k.all() {
		if key.Fits(name.s, e.sealed) {
			return &Error{Kind: ErrCorrupted, Message: "the record's key id was damaged or edited",
				Hint: "restore it from a backup, or put the value again with --force"}
		}
	}
	return &Error{Kind: ErrWrongKey,
		Message: "the record is sealed under the data key " + e.KeyID().String() + ", this store's is " + KeyID(k.current.ID()).String(),
		Hint:    "it comes from another store; open it with the key of that one"}
}
