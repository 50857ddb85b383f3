package nebula

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// Records can be moved between stores with one data key as they are, sealed.
// The methods of this file read and write sealed records, for copies and
// backups.

// GetSealed returns the current record as the backend holds it. It does not open
// the record, so it needs no key, and does not show whether the record is
// authentic. [Store.Verify] does.
//
// Errors: ErrNotFound as in [Store.Get]; ErrCorrupted and ErrUnsupportedVersion
// if the record cannot be parsed.
func (s *Store) GetSealed(ctx context.Context, id ID) (Record, error) {
	r, err := s.getSealed(ctx, id)
	return r, s.locate(s.explainAbsence(ctx, err), "retrieve", id)
}

func (s *Store) getSealed(ctx context.Context, id ID) (Record, error) {
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return Record{}, err
	}
	r, err := s.provider.Retrieve(ctx, name)
	if err == nil && scope != "" && r.Envelope.metadata.Scope != scope {
		err = notFound()
	}
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// Verify returns the current record, sealed. It first opens it and checks it
// against the pin and the rollback guard, as [Store.Get] does. It fails as Get
// does.
func (s *Store) Verify(ctx context.Context, id ID) (Record, error) {
	name, err := id.Name()
	if err != nil {
		return Record{}, s.locate(err, "retrieve", id)
	}
	c, e, err := s.get(ctx, name)
	if err != nil {
		return Record{}, s.locate(err, "retrieve", id)
	}
	c.Secret.Wipe()
	return Record{Envelope: e, Version: c.Version}, nil
}

// OpenRecord opens a record of this store that was read before. It checks it as
// [Store.Get] does, with the same errors.
func (s *Store) OpenRecord(ctx context.Context, id ID, r Record) (Credential, error) {
	name, err := id.Name()
	if err != nil {
		return Credential{}, s.locate(err, "retrieve", id)
	}
	c, err := s.open(ctx, name, r, &prefetch{}, currentRecord)
	return c, s.locate(err, "retrieve", id)
}

// SealedKeyring returns the keyring as the backend holds it, and the id of the
// data key that it names. It does not open the keyring: neither is authentic
// before [Store.Unlock] or [Store.InitSealed] has opened it. There is one
// exception: if the keyring names another key than the pin or the configuration
// does, it is opened, since a rotation may have replaced that key.
//
// Errors: ErrNotFound that wraps [ErrNotInitialised], or ErrCorrupted if the
// store is known and its keyring is not there; ErrUntrustedKey if it names another
// key, and no key at hand shows that it holds the known one too.
func (s *Store) SealedKeyring(ctx context.Context) (Record, KeyID, error) {
	r, err := s.retrieveKeyring(ctx)
	if err == nil && !s.maySeal(r.Envelope.KeyID()) {
		r, err = s.sealedAfterRotation(ctx, r)
	}
	if err != nil {
		return Record{}, KeyID{}, s.locate(err, "retrieve", "")
	}
	return r, r.Envelope.KeyID(), nil
}

// maySeal reports whether neither a pin nor the configuration says that the
// store has another data key.
func (s *Store) maySeal(id KeyID) bool {
	held := s.ring.Load()
	return held != nil && KeyID(held.current.ID()) == id || !s.knowsKey() || s.isKnown(id)
}

// sealedAfterRotation opens a keyring that names an unknown data key.
func (s *Store) sealedAfterRotation(ctx context.Context, r Record) (Record, error) {
	ring, err := s.openTrusted(ctx, r)
	switch KindOf(err) {
	case "":
		e, err := ParseEnvelope(KeyringName(), ring.raw) // of r, or of a later one
		return Record{Envelope: e, Version: ring.version}, err
	case ErrUnauthenticated, ErrWrongKey:
		return Record{}, s.unopenedKey(err)
	}
	return Record{}, err
}

// AdoptOptions goes with [Store.PutSealed] and [Store.Adopt].
type AdoptOptions struct {
	// Precondition must hold for the write. The zero value writes over any
	// record.
	Precondition Precondition

	// Previous is the record that is written over, if the caller has read it;
	// see [StoreOptions].
	Previous *Envelope

	// Older also accepts a credential that is older than the one that the
	// rollback guard has seen under the id. Set it if a person asked for that
	// state.
	Older bool
}

// PutSealed stores a record that was sealed elsewhere, under a data key of this
// store, with the metadata that it has there. The record must open under its id
// before anything is written. A record under a retired key could not be read,
// so it is sealed anew under the current key. Therefore PutSealed returns the
// stored record with its version.
//
// Errors: those of the precondition; ErrWrongKey if the record is of another
// data key; ErrCorrupted if it is not authentic; ErrRolledBack, see
// [AdoptOptions]; ErrConflict if it is of another scope than the store;
// ErrTooLarge and ErrInvalidMetadata if it is beyond a limit of the provider;
// ErrNotFound that wraps [ErrNotInitialised], see [Store.InitSealed].
func (s *Store) PutSealed(ctx context.Context, id ID, e *Envelope, options AdoptOptions) (Record, error) {
	const op = "store"
	name, scope, err := s.prepare(ctx, id)
	if err == nil {
		err = checkArrival(e, scope)
	}
	if err != nil {
		return Record{}, s.locate(err, op, id)
	}
	var r Record
	err = s.untilKeyStays(ctx, func() (err error) {
		r, err = s.tryPutSealed(ctx, name, e, options)
		return err
	})
	return r, s.locate(err, op, id)
}

// untilKeyStays writes, and writes again if a rotation came between.
func (s *Store) untilKeyStays(ctx context.Context, write func() error) error {
	for attempt := newAttempts(); ; {
		err := write()
		if !errors.Is(err, ErrKeyChanged) {
			return err
		}
		if _, err := s.reloadKeyring(ctx); err != nil {
			return err
		}
		if err := attempt.next(ctx, err); err != nil {
			return err
		}
	}
}

func checkArrival(e *Envelope, scope string) error {
	switch {
	case e == nil || e.slots != nil:
		return &Error{Kind: ErrUsage, Message: "this is not the record of a credential"}
	case scope != "" && e.metadata.Scope != scope:
		return anotherScope()
	}
	return nil
}

func anotherScope() error {
	return &Error{Kind: ErrConflict, Message: "the credential is of another scope than the store"}
}

func (s *Store) tryPutSealed(ctx context.Context, name Name, e *Envelope, o AdoptOptions) (Record, error) {
	if err := s.checkRoom(name); err != nil {
		return Record{}, err
	}
	held, key, err := s.arrivalKey(ctx, name, e)
	if err != nil {
		return Record{}, err
	}
	plaintext, err := e.open(key, name)
	if err != nil {
		return Record{}, damagedRecord(err)
	}
	defer clear(plaintext)
	if err := s.checkAge(ctx, name, e.metadata.LastModified, o); err != nil {
		return Record{}, err
	}
	if key != held.current {
		e = sealEnvelope(held.current, name, plaintext, e.metadata, nil)
	}
	v, err := s.storeEnvelope(ctx, name, e, StoreOptions{Precondition: o.Precondition, Previous: o.Previous}, held)
	if err != nil {
		return Record{}, err
	}
	r := Record{Envelope: e, Version: v}
	if err := s.setMark(name, e, held.keyring); err != nil {
		return r, storedUnmarked(err)
	}
	return r, nil
}

// arrivalKey returns a keyring to write with, and its key under which the record
// is sealed.
func (s *Store) arrivalKey(ctx context.Context, name Name, e *Envelope) (*heldKeyring, *seal.Key, error) {
	held, err := s.freshKeyring(ctx, &prefetch{})
	if err == nil && held.keyByID(e.KeyID()) == nil { // it may have been replaced since it was read
		held, err = s.reloadHeld(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := held.keyFor(name, e, anyRecord)
	return held, key, err
}

// checkAge refuses a record that is older than the one that the rollback guard
// has seen.
func (s *Store) checkAge(ctx context.Context, name Name, modified time.Time, o AdoptOptions) error {
	if s.options.RollbackGuard == nil || o.Older {
		return nil
	}
	ring, err := s.keyring(ctx, &prefetch{})
	if errors.Is(err, ErrNotInitialised) {
		return nil
	}
	if err != nil {
		return err
	}
	seen, _, err := s.loadMark(ctx, name, ring)
	if err != nil || !seen.found || !modified.Before(seen.LastModified) {
		return err
	}
	return &Error{Kind: ErrRolledBack,
		Message: fmt.Sprintf("this copy is of %s, and one of %s was seen here before; nothing was written",
			canon.AppendTime(nil, modified), canon.AppendTime(nil, seen.LastModified)),
		Hint: "if the older one is meant, say so with --overwrite"}
}
