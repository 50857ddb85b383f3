// Package slots has the shared parts of all kinds of slots whose secret
// something else keeps.
package slots

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"github.com/nebula-credential/nebula"
)

// SecretSize is the size of a slot's secret, in bytes.
const SecretSize = 32

// NewSecret returns the secret of a new slot.
func NewSecret() []byte {
	secret := make([]byte, SecretSize)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// Secrets are the secrets that were opened or made, so that their keeper is
// asked once. They are found by the slot's id and data: a slot that was made
// anew has another secret. The zero Secrets are empty.
type Secrets struct {
	mu   sync.Mutex
	held map[state][]byte
}

type state struct {
	id   string
	data [sha256.Size]byte
}

func stateOf(slot nebula.Slot) state { return state{slot.ID, sha256.Sum256(slot.Data)} }

// Get returns the secret of a slot, nil if it is not there.
func (s *Secrets) Get(slot nebula.Slot) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[stateOf(slot)]
}

// Keep keeps the secret of a slot.
func (s *Secrets) Keep(slot nebula.Slot, secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[state][]byte)
	}
	s.held[stateOf(slot)] = secret
}

// Damaged is the error for a slot that was changed. The flag is that of key add.
func Damaged(slotID, flag string, cause error) error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the slot " + slotID + " is damaged: " + cause.Error(), Err: cause,
		Hint: "open the store with another key, remove the slot and add it anew: nebula key remove " + slotID + ", nebula key add " + flag}
}
