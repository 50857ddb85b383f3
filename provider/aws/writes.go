package aws

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
)

// writes remembers what repetitions of writes need of the attempt before.
type writes struct {
	mu sync.Mutex

	// tokens are those of writes of which it is not clear whether they were
	// done, by the SHA-256 of the record: no two seals are alike.
	tokens map[[sha256.Size]byte]string

	// restored are the versions that were restored to be written over, as long
	// as that was not done nor undone.
	restored map[nebula.Name]string
}

// mostWrites bounds the memory that they take.
const mostWrites = 1024

// begin returns the token of a write: in a repetition that of the attempt
// before, so that AWS does it once, else a new one.
func (w *writes) begin(ctx context.Context, e *nebula.Envelope) string {
	if middleware.IsRepeat(ctx) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if token, ok := w.tokens[sha256.Sum256(e.Bytes())]; ok {
			return token
		}
	}
	return newToken()
}

// end keeps the token of a write that may be repeated.
func (w *writes) end(ctx context.Context, e *nebula.Envelope, token string, err error) {
	repeat := middleware.IsRepeat(ctx)
	keep := err != nil && (repeat || errors.Is(err, middleware.ErrUnclear))
	if !keep && !repeat {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !keep {
		delete(w.tokens, sha256.Sum256(e.Bytes()))
		return
	}
	if w.tokens == nil || len(w.tokens) >= mostWrites {
		w.tokens = make(map[[sha256.Size]byte]string)
	}
	w.tokens[sha256.Sum256(e.Bytes())] = token
}

func (w *writes) restoring(name nebula.Name, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.restored == nil || len(w.restored) >= mostWrites {
		w.restored = make(map[nebula.Name]string)
	}
	w.restored[name] = version
}

func (w *writes) settled(name nebula.Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.restored, name)
}

func (w *writes) restoredVersion(name nebula.Name) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	version, ok := w.restored[name]
	return version, ok
}

// newToken returns a random UUID, as AWS makes them.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
