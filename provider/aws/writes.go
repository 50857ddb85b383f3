package aws

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// maxWrites bounds each of the memories of writes.
const maxWrites = 1024

// writes remembers what repetitions of writes need of the attempt before.
type writes struct {
	// tokens are those of writes whose outcome is not clear, by the SHA-256 of
	// the record: no two seals are alike.
	tokens *provider.Recent[[sha256.Size]byte, string]

	// restored are the versions that were restored to be written over, as long
	// as that was not done nor undone.
	restored *provider.Recent[nebula.Name, string]
}

func newWrites(clock provider.Clock) writes {
	return writes{
		tokens:   provider.NewRecent[[sha256.Size]byte, string](clock, maxWrites, 0),
		restored: provider.NewRecent[nebula.Name, string](clock, maxWrites, 0),
	}
}

// begin returns the token of a write: in a repetition that of the attempt
// before, so that AWS does it once, else a new one.
func (w *writes) begin(ctx context.Context, e *nebula.Envelope) string {
	if provider.IsRepeat(ctx) {
		if token, ok := w.tokens.Get(sha256.Sum256(e.Bytes())); ok {
			return token
		}
	}
	return newToken()
}

// end keeps the token of a write that may be repeated.
func (w *writes) end(ctx context.Context, e *nebula.Envelope, token string, err error) {
	repeat := provider.IsRepeat(ctx)
	switch {
	case err != nil && (repeat || errors.Is(err, provider.ErrUnclear)):
		w.tokens.Note(sha256.Sum256(e.Bytes()), token)
	case repeat:
		w.tokens.Forget(sha256.Sum256(e.Bytes()))
	}
}

// newToken returns a random UUID, as AWS makes them.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
