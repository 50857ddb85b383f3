package nebula

import (
	"errors"
	"fmt"
)

// errUnknownKey marks the refusal of a keyring that anyone could have made.
var errUnknownKey = errors.New("neither a pin nor the configuration names the data key")

// unknownKey refuses a keyring that anyone could have made. The message leaves the
// id out: a user would copy it, and trust what the backend shows.
func (s *Store) unknownKey(ring *keyring) error {
	by := fmt.Sprintf("the slot %s (%s), which anyone could have made, for a data key of their own", ring.openedBy.ID, shown(ring.openedBy.Kind))
	if ring.kept {
		by = "a data key that was kept by a process which did not know whether it is the store's"
	}
	return &Error{Kind: ErrUntrustedKey, Err: errUnknownKey,
		Message: fmt.Sprintf("the keyring of %s %s is opened by %s, "+
			"and nothing here says which one this store has. Nothing was read or written", s.description.Provider, s.description.Address, by),
		Hint: "ask the owner of the store for the id of its key; they see it with: nebula key list. " +
			"Then run nebula key trust ID, or set id in [key], or NEBULA_KEY_ID"}
}

// unopenedKey refuses a keyring that names another data key than the known one. The
// id stays out of the message, since the backend shows it.
func (s *Store) unopenedKey(cause error) error {
	return &Error{Kind: ErrUntrustedKey, Err: cause,
		Message: fmt.Sprintf("the keyring of %s %s names another data key than the one that is known here, and no key at hand opens it: "+
			"the data key was replaced, or somebody put another store in this place. Nothing was written", s.description.Provider, s.description.Address),
		Hint: "if it was replaced, open the store once with a key of it (nebula key list), or set id in [key], or NEBULA_KEY_ID, to the id of today"}
}

// retiredKey refuses a keyring that holds the configured key as a retired one.
func (s *Store) retiredKey(configured KeyID) error {
	return &Error{Kind: ErrUntrustedKey,
		Message: fmt.Sprintf("the configuration names the key %v, which is a retired key in the keyring of %s %s. "+
			"Anyone who knew that key can make such a keyring, and strict is set", configured, s.description.Provider, s.description.Address),
		Hint: "ask the owner of the store for the current id, and set id in [key], or NEBULA_KEY_ID, to it"}
}

func notThatKey(id KeyID, ring *keyring) error {
	return &Error{Kind: ErrUntrustedKey, Message: fmt.Sprintf("the store's data key is %s, not %v", describeKey(ring), id),
		Hint: "ask the owner of the store for the id of its key"}
}

// describeKey names the data key of a keyring, but not of one that anyone could
// have made: a user would copy the id from the message.
func describeKey(ring *keyring) string {
	if ring.isAnyones() {
		return "another one"
	}
	return KeyID(ring.current.ID()).String()
}

// idToTrust returns the id that a hint tells the user to accept.
func idToTrust(ring *keyring) string {
	if ring.isAnyones() {
		return "ID, with the id that they tell you"
	}
	return KeyID(ring.current.ID()).String()
}

func (s *Store) untrusted(want KeyID, ring *keyring, source string) error {
	got, names := describeKey(ring), "names"
	how := "accept it with: nebula key trust " + idToTrust(ring)
	switch source {
	case byConfiguration:
		how = "set id in [key], or NEBULA_KEY_ID, to " + idToTrust(ring)
	case byProcess:
		names, how = "has used", "start it again"
	}
	return &Error{Kind: ErrUntrustedKey,
		Message: fmt.Sprintf("THE DATA KEY OF THIS STORE HAS CHANGED. %s %s the key %v, and the keyring of %s %s now holds %v. "+
			"Somebody who can write the backend may have replaced it, to read the values that you store from now on; or the store was made anew. "+
			"Nothing was read or written", source, names, want, s.description.Provider, s.description.Address, got),
		Hint: "ask the owner of the store; only if the change was meant, " + how}
}
