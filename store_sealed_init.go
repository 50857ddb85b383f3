package nebula

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// InitSealedOptions goes with [Store.InitSealed].
type InitSealedOptions struct {
	// TrustedKey is the data key that the caller expects: that of a trusted store
	// that is copied, for example. The keyring must have it as the current key.
	TrustedKey *KeyID

	// Older accepts a keyring of a generation below the one that is remembered.
	// A person must decide that.
	Older bool

	// Drop names slots to leave behind. The keyring is sealed anew then.
	Drop []string

	// DryRun checks everything and writes nothing.
	DryRun bool
}

// InitSealed makes the store with the keyring of another store, from which its
// records come: see [Store.PutSealed]. One of the store's keys must open it, and
// nothing is written before it is trusted. If only a slot opens it that anyone
// can make, TrustedKey, here or in [Options], or a pin must name its data key. If
// a pin or [Options] of this store names a key, the keyring must hold that key.
// Credentials that are there already must be sealed under its keys. This is how
// to bring back a lost keyring.
//
// Errors: ErrAlreadyExists if the store has a keyring; ErrUntrustedKey;
// ErrRolledBack, see Older; ErrWrongKey and ErrUnauthenticated if no key opens it;
// ErrCorrupted if it is damaged, or there are credentials of another key; ErrUsage
// and ErrNotFound for Drop, as [Store.RemoveKey].
func (s *Store) InitSealed(ctx context.Context, keyring *Envelope, options InitSealedOptions) (KeyID, error) {
	ring, err := s.initSealed(ctx, keyring, options)
	if err != nil {
		return KeyID{}, s.locate(err, "init", "")
	}
	return KeyID(ring.current.ID()), nil
}

func (s *Store) initSealed(ctx context.Context, e *Envelope, o InitSealedOptions) (*keyring, error) {
	if e == nil || e.slots == nil {
		return nil, &Error{Kind: ErrUsage, Message: "this is not the record of a keyring"}
	}
	found, err := s.provider.Exists(ctx, KeyringName())
	if err != nil {
		return nil, err
	}
	if found {
		return nil, alreadyInitialised(nil)
	}
	ring, err := s.openArrived(ctx, e, o)
	if err != nil {
		return nil, err
	}
	if err := s.wantOwnRecords(ctx, ring); err != nil {
		return nil, err
	}
	if o.DryRun {
		return ring, nil
	}
	begun := s.options.Now()
	if len(o.Drop) > 0 {
		err = s.storeKeyring(ctx, ring, s.now(), IfAbsent())
	} else {
		err = s.writeKeyring(ctx, ring, e, IfAbsent())
	}
	if errors.Is(err, ErrAlreadyExists) {
		return nil, alreadyInitialised(err)
	}
	if err != nil {
		return nil, err
	}
	if o.Older {
		s.forgetLater(ring)
	}
	s.holdWritten(ring, begun)
	return ring, nil
}

// openArrived opens a keyring from elsewhere, checks that it may become this
// store's, and removes the slots that are to be dropped.
func (s *Store) openArrived(ctx context.Context, e *Envelope, o InitSealedOptions) (*keyring, error) {
	ring, err := openKeyring(ctx, Record{Envelope: e}, s.options.Keys)
	if err != nil {
		return nil, err
	}
	if err := s.checkArrived(ring, o); err != nil || len(o.Drop) == 0 {
		return ring, err
	}
	rest, err := ring.without(o.Drop)
	if err != nil {
		return nil, err
	}
	if ring.generation == maxGeneration {
		return nil, generationsExhausted()
	}
	ring.keepSlots(rest)
	ring.generation++
	return ring, nil
}

// checkArrived is checkTrust for a keyring that is not this store's yet.
func (s *Store) checkArrived(ring *keyring, o InitSealedOptions) error {
	if id := o.TrustedKey; id != nil && KeyID(ring.current.ID()) != *id {
		return arrivedOther(ring, *id, "the key that was asked for is")
	}
	if id := s.options.TrustedKey; id != nil && ring.keyByID(*id) == nil {
		return arrivedOther(ring, *id, "the configuration of this store names")
	}
	if err := s.checkConfigured(ring); err != nil { // which may refuse a retired key
		return err
	}
	pinned := false
	if address := s.pinned(); address != "" {
		pin, found, err := s.options.Pins.Load(address)
		switch {
		case err != nil:
			return err
		case found && ring.keyByID(pin.KeyID) == nil && s.options.TrustedKey == nil:
			return arrivedOther(ring, pin.KeyID, byPin+" names for this store")
		case found && ring.generation < pin.Generation && !o.Older:
			return arrivedOlder(ring, pin.Generation)
		}
		pinned = found
	}
	if named := pinned || o.TrustedKey != nil || s.options.TrustedKey != nil; !named && ring.isAnyones() {
		return arrivedFromAnyone(ring)
	}
	return nil
}

func arrivedOther(ring *keyring, want KeyID, who string) error {
	return &Error{Kind: ErrUntrustedKey,
		Message: fmt.Sprintf("the keyring that would become this store's holds the data key %s; %s %v. Nothing was written",
			describeKey(ring), who, want),
		Hint: "look whether this is the right source, and the right destination; ask their owners"}
}

func arrivedFromAnyone(ring *keyring) error {
	return &Error{Kind: ErrUntrustedKey, Err: errUnknownKey,
		Message: fmt.Sprintf("the keyring is opened by the slot %s (%s), which anyone could have made, for a data key of their own, "+
			"and nothing here says which one it should be. Nothing was written", ring.openedBy.ID, shown(ring.openedBy.Kind)),
		Hint: "ask the owner of the store for the id of its key; they see it with: nebula key list. Then set id in [key], or NEBULA_KEY_ID; import also takes it with --key-id"}
}

func arrivedOlder(ring *keyring, seen uint64) error {
	return &Error{Kind: ErrRolledBack,
		Message: fmt.Sprintf("the keyring is of generation %d, and %d was seen in this store before: "+
			"slots that were removed since would open it again. Nothing was written", ring.generation, seen),
		Hint: "if the older one is meant, say so with --yes"}
}

// wantOwnRecords fails if there are records under keys that the keyring lacks.
// They belong to another store, whose keyring is missing.
func (s *Store) wantOwnRecords(ctx context.Context, ring *keyring) error {
	pager := s.provider.List(ctx, Filter{})
	defer pager.Close()
	for {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var names []Name
		for _, e := range page {
			if name, err := e.ID.Name(); err == nil {
				names = append(names, name)
			}
		}
		if err := s.wantOwn(ctx, ring, names); err != nil {
			return err
		}
	}
}

// wantOwn looks at the records of a page. A record that cannot be read does not
// show whose it is.
func (s *Store) wantOwn(ctx context.Context, ring *keyring, names []Name) error {
	for i, r := range s.retrieveAll(ctx, names) {
		switch {
		case KindOf(r.Err) == ErrNotFound, isUnreadable(r.Err):
			continue
		case r.Err != nil:
			return r.Err
		}
		if _, err := ring.keyThatFits(names[i], r.Record.Envelope, anyRecord); err != nil {
			if s.madeSince(ctx) {
				return alreadyInitialised(nil)
			}
			return &Error{Kind: ErrCorrupted, ID: names[i].ID(), Err: err,
				Message: "the store has credentials and no keyring, and the keyring that would become its own does not open this one",
				Hint:    "look whether this is the right destination; else restore its own keyring from a backup"}
		}
	}
	return nil
}
