package nebula

import (
	"context"
	"encoding/hex"
	"fmt"
)

// ParseKeyID reads 32 lower-case hexadecimal digits.
func ParseKeyID(s string) (KeyID, error) {
	var id KeyID
	if len(s) == hex.EncodedLen(len(id)) {
		if _, err := hex.Decode(id[:], []byte(s)); err == nil && id.String() == s {
			return id, nil
		}
	}
	return KeyID{}, &Error{Kind: ErrUsage, Message: "the argument is not a key id", // it may be a key, and is not shown
		Hint: "a key id has 32 digits of 0-9 a-f; nebula key list shows it"}
}

// Pin is what is remembered of a store, so that whoever writes its backend
// cannot put another keyring in the place of the one that was seen.
type Pin struct {
	KeyID      KeyID  // of the data key
	Generation uint64 // the highest one seen of the keyring
}

// Pins remember the data key of each store, as SSH remembers the keys of hosts.
// A store that is seen for the first time is trusted; from then on its data key
// may only be replaced by a keyring that holds the remembered one too.
type Pins interface {
	// Load returns the pin of the store at an address.
	Load(address string) (Pin, bool, error)

	// Update changes the pin of one store, or removes it where change returns
	// false. No other Update comes between what change is given and what it
	// returns. After an error of another kind than ErrInvalidConfig, nothing
	// can be remembered: the store is then used without a pin.
	Update(address string, change func(old Pin, found bool) (Pin, bool)) error
}

// Trust accepts the data key that the store has now, which must be id, though
// another one is remembered, or a later generation of its keyring.
func (s *Store) Trust(ctx context.Context, id KeyID) error {
	err := s.trust(ctx, id)
	return s.locate(err, "trust", "")
}

func (s *Store) trust(ctx context.Context, id KeyID) error {
	if s.pinned() == "" {
		return noPins()
	}
	begun := s.options.Now()
	record, err := s.retrieveKeyring(ctx)
	if err != nil {
		return err
	}
	ring, err := openKeyring(ctx, record, s.options.Keys)
	if err != nil {
		return err
	}
	if got := KeyID(ring.current.ID()); got != id {
		return &Error{Kind: ErrUntrustedKey, Message: fmt.Sprintf("the store's data key is %v, not %v", got, id)}
	}
	err = s.options.Pins.Update(s.pinned(), func(Pin, bool) (Pin, bool) {
		return Pin{KeyID: id, Generation: ring.generation}, true
	})
	if err == nil {
		s.hold(&heldKeyring{ring, begun, s.turns.Add(1)})
	}
	return err
}

// Forget drops what is remembered of the store. The next keyring that is seen
// there is trusted, or a new one can be made.
func (s *Store) Forget() error {
	if s.pinned() == "" {
		return s.locate(noPins(), "trust", "")
	}
	err := s.options.Pins.Update(s.pinned(), func(Pin, bool) (Pin, bool) { return Pin{}, false })
	return s.locate(err, "trust", "")
}

func noPins() error {
	return &Error{Kind: ErrNotSupported, Message: "nothing is remembered of this store: the configuration or NEBULA_KEY_ID names its key, or it ends with the process",
		Hint: "change id in [key], or NEBULA_KEY_ID"}
}

// pinned returns the address under which the store is remembered, "" where it
// is not.
func (s *Store) pinned() string {
	d := s.description
	if s.options.Pins == nil || s.options.TrustedKey != nil || d.Address == "" {
		return ""
	}
	return d.Provider + ":" + d.Address
}

// checkTrust holds a keyring that was opened against what is known of the
// store, and remembers it.
func (s *Store) checkTrust(ring *keyring) error {
	if id := s.options.TrustedKey; id != nil {
		if ring.keyByID(*id) == nil {
			return s.untrusted(*id, ring, "The configuration")
		}
		return nil
	}
	address := s.pinned()
	if address == "" {
		return nil
	}
	pin, found, err := s.options.Pins.Load(address)
	if err != nil {
		return err
	}
	switch {
	case !found:
	case ring.keyByID(pin.KeyID) == nil:
		return s.untrusted(pin.KeyID, ring, "The file known_stores")
	case ring.generation < pin.Generation:
		return &Error{Kind: ErrRolledBack,
			Message: fmt.Sprintf("the keyring is of generation %d, and %d was seen before: an older copy was put in its place",
				ring.generation, pin.Generation),
			Hint: fmt.Sprintf("if you restored a backup, accept it with: nebula key trust %v", KeyID(ring.current.ID()))}
	}
	return s.remember(ring)
}

// remember pins a keyring, unless a later one is pinned.
func (s *Store) remember(ring *keyring) error {
	address := s.pinned()
	if address == "" {
		return nil
	}
	seen := Pin{KeyID(ring.current.ID()), ring.generation}
	if pin, found, err := s.options.Pins.Load(address); err == nil && found && pin == seen {
		return nil
	}
	err := s.options.Pins.Update(address, func(pin Pin, found bool) (Pin, bool) {
		if found && pin.Generation >= seen.Generation {
			return pin, true
		}
		return seen, true
	})
	if err != nil && KindOf(err) != ErrInvalidConfig {
		s.warnOnce.Do(func() {
			s.options.Logger.Warn("the store's key cannot be remembered, so a replaced key would not be noticed", "reason", err.Error())
		})
		return nil
	}
	return err
}

func (s *Store) untrusted(want KeyID, ring *keyring, source string) error {
	got := KeyID(ring.current.ID())
	how := fmt.Sprintf("accept it with: nebula key trust %v", got)
	if s.options.TrustedKey != nil {
		how = fmt.Sprintf("set id in [key], or NEBULA_KEY_ID, to %v", got)
	}
	return &Error{Kind: ErrUntrustedKey,
		Message: fmt.Sprintf("THE DATA KEY OF THIS STORE HAS CHANGED. %s names the key %v, and the keyring of %s %s now holds %v. "+
			"Somebody who can write the backend may have replaced it, to read what you store from now on; or the store was made anew. "+
			"Nothing was read or written", source, want, s.description.Provider, s.description.Address, got),
		Hint: "ask whoever keeps the store; only if the change was meant, " + how}
}

// wantNoPin fails where a keyring was seen before, and none is there now.
func (s *Store) wantNoPin() error {
	address := s.pinned()
	if address == "" {
		return nil
	}
	pin, found, err := s.options.Pins.Load(address)
	if err != nil || !found {
		return err
	}
	return &Error{Kind: ErrCorrupted,
		Message: fmt.Sprintf("the keyring is gone; it held the data key %v when it was last seen", pin.KeyID),
		Hint:    "restore it from a backup; or, to make a new store there, first run: nebula key trust --forget"}
}
