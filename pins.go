package nebula

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"
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

// Pin is what a client remembers about a store. With it the client notices if
// somebody who can write to the backend puts another keyring in place of the
// one that was seen.
type Pin struct {
	KeyID      KeyID  // of the data key
	Generation uint64 // the highest one seen of the keyring

	// SeenAt is the time when that data key was first seen as the current one,
	// by the clock of this machine. A resumed rotation counts its waiting from
	// then. It is zero if it is not known.
	SeenAt time.Time
}

// Pins remember the data key of each store, as SSH remembers the keys of hosts.
// A store that is seen for the first time is trusted. From then on, another
// keyring is accepted only if it holds the remembered data key too.
type Pins interface {
	// Load returns the pin of the store at an address.
	Load(address string) (Pin, bool, error)

	// Update changes the pin of one store, or removes it if change returns
	// false. No other Update comes between the argument and the result of
	// change. After an error of another kind than ErrInvalidConfig, nothing can
	// be remembered, and the store is used without a pin.
	Update(address string, change func(old Pin, found bool) (Pin, bool)) error
}

// Trust accepts the data key that the store has now, which must be id, even if
// another key or a later generation of the keyring is remembered.
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
	if KeyID(ring.current.ID()) != id {
		return notThatKey(id, ring)
	}
	if err := s.checkConfigured(ring); err != nil {
		return err
	}
	err = s.options.Pins.Update(s.pinned(), func(Pin, bool) (Pin, bool) {
		return Pin{KeyID: id, Generation: ring.generation, SeenAt: s.now()}, true
	})
	if err == nil {
		s.hold(ring, begun, s.turns.Add(1))
	}
	return err
}

// Forget drops the pin of the store. The next keyring that is seen there is
// trusted, or a new one can be made.
func (s *Store) Forget() error {
	if s.pinned() == "" {
		return s.locate(noPins(), "trust", "")
	}
	err := s.options.Pins.Update(s.pinned(), func(Pin, bool) (Pin, bool) { return Pin{}, false })
	return s.locate(err, "trust", "")
}

func noPins() error {
	return &Error{Kind: ErrNotSupported, Message: "nothing is remembered of this store: there is no place for it, or the store ends with the process",
		Hint: "name its key with id in [key], or NEBULA_KEY_ID"}
}

// pinned returns the address under which the store is remembered, "" if it
// is not.
func (s *Store) pinned() string {
	if s.options.Pins == nil {
		return ""
	}
	return s.address()
}

// The sources that say which key a store must have.
const (
	byConfiguration = "The configuration"
	byPin           = "The file known_stores"
	byProcess       = "This process"
)

// checkTrust compares an opened keyring with all that is known about the store,
// and remembers it.
func (s *Store) checkTrust(ring *keyring) error {
	if err := s.checkConfigured(ring); err != nil {
		return err
	}
	if err := s.checkHeld(ring); err != nil {
		return err
	}
	pinned, err := s.checkPin(ring)
	if err != nil {
		return err
	}
	named := s.options.TrustedKey != nil && *s.options.TrustedKey == KeyID(ring.current.ID())
	ring.pinned = pinned || named
	known := pinned || s.options.TrustedKey != nil || s.ring.Load() != nil || ring.vouched
	if !known && ring.isAnyones() {
		return s.unknownKey(ring)
	}
	return s.remember(ring)
}

// checkConfigured compares a keyring with the id in the configuration. If that key
// was retired, anyone who knew it can make a keyring that holds it.
func (s *Store) checkConfigured(ring *keyring) error {
	id := s.options.TrustedKey
	switch {
	case id == nil || KeyID(ring.current.ID()) == *id:
		return nil
	case ring.keyByID(*id) == nil:
		return s.untrusted(*id, ring, byConfiguration)
	}
	if held := s.ring.Load(); held != nil && held.current.ID() == ring.current.ID() {
		return nil // this process rotated, or has warned
	}
	if s.options.StrictKey {
		return s.retiredKey(*id)
	}
	s.warnRetired.Do(func() {
		s.options.Logger.Warn("the configured key id is that of a retired key; anyone who knew that key can make a keyring that is accepted here",
			"configured", id.String(), "hint", "ask the owner of the store for the current id, and set id in [key], or NEBULA_KEY_ID")
	})
	return nil
}

// checkHeld compares a keyring with the one that this process has used until
// now. It must be a later state of that.
func (s *Store) checkHeld(ring *keyring) error {
	held := s.ring.Load()
	switch {
	case held == nil:
	case !ring.continues(held.keyring):
		return s.untrusted(KeyID(held.current.ID()), ring, byProcess)
	case ring.generation < held.generation:
		return rolledBackKeyring(ring, held.generation)
	}
	return nil
}

// checkPin compares a keyring with the pin, and reports whether there is one. If
// the configuration names the keyring's key, that wins over another key in the
// pin. An older state of the keyring is refused even so.
func (s *Store) checkPin(ring *keyring) (found bool, err error) {
	address := s.pinned()
	if address == "" {
		return false, nil
	}
	pin, found, err := s.options.Pins.Load(address)
	if err != nil || !found {
		return false, err
	}
	if ring.keyByID(pin.KeyID) == nil && s.options.TrustedKey == nil {
		return true, s.untrusted(pin.KeyID, ring, byPin)
	}
	if ring.generation < pin.Generation {
		return true, rolledBackKeyring(ring, pin.Generation)
	}
	return true, nil
}

// knowsKey reports whether anything says which data key the store has.
func (s *Store) knowsKey() bool {
	if s.options.TrustedKey != nil || s.ring.Load() != nil {
		return true
	}
	if s.pinned() == "" {
		return false
	}
	_, found, err := s.options.Pins.Load(s.pinned())
	return err == nil && found
}

// isKnown reports whether the pin or the configuration names that data key.
func (s *Store) isKnown(id KeyID) bool {
	if trusted := s.options.TrustedKey; trusted != nil && *trusted == id {
		return true
	}
	if s.pinned() == "" {
		return false
	}
	pin, found, err := s.options.Pins.Load(s.pinned())
	return err == nil && found && pin.KeyID == id
}

func rolledBackKeyring(ring *keyring, seen uint64) error {
	return &Error{Kind: ErrRolledBack,
		Message: fmt.Sprintf("the keyring is of generation %d, and %d was seen before: an older copy was put in its place",
			ring.generation, seen),
		Hint: fmt.Sprintf("if you restored a backup, accept it with: nebula key trust %v", KeyID(ring.current.ID()))}
}

// remember pins a keyring, unless a later one is pinned.
func (s *Store) remember(ring *keyring) error {
	address := s.pinned()
	if address == "" {
		return nil
	}
	seen := Pin{KeyID: KeyID(ring.current.ID()), Generation: ring.generation, SeenAt: s.now()}
	if pin, found, err := s.options.Pins.Load(address); err == nil && found && pin.KeyID == seen.KeyID && pin.Generation == seen.Generation {
		return nil
	}
	err := s.options.Pins.Update(address, func(pin Pin, found bool) (Pin, bool) {
		later := pin.Generation > seen.Generation || pin.Generation == seen.Generation && ring.keyByID(pin.KeyID) != nil
		if found && later {
			return pin, true
		}
		if found && pin.KeyID == seen.KeyID {
			seen.SeenAt = pin.SeenAt
		}
		return seen, true
	})
	if err != nil && KindOf(err) != ErrInvalidConfig {
		if s.options.TrustedKey != nil { // a replaced key is noticed all the same
			return nil
		}
		s.warnOnce.Do(func() {
			s.options.Logger.Warn("the store's key cannot be remembered, so a replaced key would not be noticed", "reason", err.Error())
		})
		return nil
	}
	return err
}

// forgetLater allows an earlier generation of the keyring to be remembered, because
// a person has accepted it.
func (s *Store) forgetLater(ring *keyring) {
	address := s.pinned()
	if address == "" {
		return
	}
	err := s.options.Pins.Update(address, func(pin Pin, found bool) (Pin, bool) {
		pin.Generation = min(pin.Generation, ring.generation)
		return pin, found
	})
	if err != nil {
		s.options.Logger.Warn("the keyring is written, and is older than what is remembered", "reason", err.Error(),
			"hint", "accept it with: nebula key trust "+idToTrust(ring))
	}
}

// pinnedSince returns when this machine first saw the keyring's current key, or
// the zero time.
func (s *Store) pinnedSince(ring *keyring) time.Time {
	address := s.pinned()
	if address == "" {
		return time.Time{}
	}
	pin, found, err := s.options.Pins.Load(address)
	if err != nil || !found || pin.KeyID != KeyID(ring.current.ID()) {
		return time.Time{}
	}
	return pin.SeenAt
}

// wantUnknown fails if there is no keyring, and a pin or TrustedKey says that
// there was one. Then the store is not new but lost: a volume that is not
// mounted must not become a store under another key.
func (s *Store) wantUnknown() error {
	if id := s.options.TrustedKey; id != nil {
		return &Error{Kind: ErrCorrupted,
			Message: fmt.Sprintf("the keyring is not there; the configuration names its data key, %v", *id),
			Hint: "look whether this is the right place: a volume that is not mounted, another prefix or namespace. " +
				"To make a new store here, first remove id from [key], or NEBULA_KEY_ID"}
	}
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
		Hint: "look whether this is the right place: a volume that is not mounted, a directory that was moved. " +
			"Else restore it from a backup; or, to make a new store here, first run: nebula key trust --forget"}
}
