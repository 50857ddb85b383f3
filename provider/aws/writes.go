package aws

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// maxWrites limits the size of each memory of writes.
	maxWrites = 1024
	// raceAge is how long a race with others is remembered.
	raceAge = time.Minute
)

// writes remembers facts about earlier writes and reads that later writes need.
type writes struct {
	// tokens are the tokens of writes whose outcome is not clear, by the
	// SHA-256 of the record. No two seals are alike.
	tokens *provider.Recent[[sha256.Size]byte, string]

	// restored are the versions that were restored to be written over, until
	// that is done or undone.
	restored *provider.Recent[nebula.Name, string]

	// unsure are the names whose secrets may not have the tags of their records.
	unsure *provider.Recent[nebula.Name, struct{}]

	// tagged are the versions whose tags were set.
	tagged *provider.Recent[nebula.Name, string]

	// rivals is the number of writers at the same time as this process.
	rivals *provider.Recent[nebula.Name, int]
}

func newWrites(clock provider.Clock) writes {
	return writes{
		tokens:   provider.NewRecent[[sha256.Size]byte, string](clock, maxWrites, 0),
		restored: provider.NewRecent[nebula.Name, string](clock, maxWrites, 0),
		unsure:   provider.NewRecent[nebula.Name, struct{}](clock, maxWrites, 0),
		tagged:   provider.NewRecent[nebula.Name, string](clock, maxWrites, 0),
		rivals:   provider.NewRecent[nebula.Name, int](clock, maxWrites, raceAge),
	}
}

// begin returns the token of the attempt before, if this is a repetition of it.
// AWS does a write with one token once.
func (w *writes) begin(ctx context.Context, e *nebula.Envelope) string {
	if !provider.IsRepeat(ctx) {
		return ""
	}
	token, _ := w.tokens.Get(sha256.Sum256(e.Bytes()))
	return token
}

// end keeps the token of a write that may be repeated.
func (w *writes) end(ctx context.Context, e *nebula.Envelope, token string, err error) {
	repeat := provider.IsRepeat(ctx)
	switch {
	case err != nil && token != "" && (repeat || errors.Is(err, provider.ErrUnclear)):
		w.tokens.Note(sha256.Sum256(e.Bytes()), token)
	case repeat:
		w.tokens.Forget(sha256.Sum256(e.Bytes()))
	}
}

// saw notes a version that was read. If that version changes tags, the secret
// may still have the earlier ones.
func (w *writes) saw(name nebula.Name, version string) {
	if known, _ := w.tagged.Get(name); changesTags(version) && known != version {
		w.unsure.Note(name, struct{}{})
	}
}

// wereTagged notes that a secret has the tags of that version.
func (w *writes) wereTagged(name nebula.Name, version string) {
	w.tagged.Note(name, version)
	w.unsure.Forget(name)
}

// The ids of versions are random UUIDs, as AWS makes them. If a version changes
// tags, its id has the UUID version 8, which is for custom use. It shows a
// later write, without a call, that a step may be missing. For the end of the
// ids, see linkTo.
const (
	uuidRandom = 4
	uuidTags   = 8

	uuidVersionAt = 14 // where the text of a UUID has its version
)

// newToken returns a random UUID of that version.
func newToken(version byte) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// changesTags reports whether a version was written with other tags than the one
// before it.
func changesTags(version string) bool {
	return len(version) > uuidVersionAt && version[uuidVersionAt] == '0'+uuidTags
}
