// Package agent keeps opened data keys in a process of the user. So a person is
// asked for a passphrase, or a service is called, once and not for each
// command. It keeps nothing else: no credentials, no records, no key that opens
// a slot.
//
// The socket is the boundary: every process of the same user may ask for the
// keys. There is no agent on Windows.
package agent

import "time"

// DefaultTTL is how long a key is kept by default.
const DefaultTTL = 15 * time.Minute

// MaxSocketPath is the greatest length of a socket's path, in bytes, that every
// supported system accepts.
const MaxSocketPath = 103

// Entry describes a key that an agent keeps.
type Entry struct {
	Address string        `json:"address"` // of the store, after the name of its provider
	KeyID   string        `json:"key_id"`  // of the data key
	Pinned  bool          `json:"pinned"`  // whether it was checked against a pin
	Left    time.Duration `json:"left"`    // until it is forgotten
}
