package nebula

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// attempts paces the repetitions of an operation that lost against others.
type attempts struct {
	made, max int
	maxWait   time.Duration
}

// newAttempts is for writes. Each round of such a race has a winner, so a
// loser's turn comes. The bound is there for a backend that reports conflicts
// without end.
func newAttempts() *attempts { return &attempts{max: 100, maxWait: 32 * time.Millisecond} }

// newRereads is for reads whose result another process has replaced since, or
// is about to replace. The bound is there for a backend that shows one old
// state after the other.
func newRereads() *attempts { return &attempts{max: 10, maxWait: 128 * time.Millisecond} }

// newKeyringReads is newRereads for the keyring, whose writers do not write twice.
func newKeyringReads() *attempts { return &attempts{max: 6, maxWait: 128 * time.Millisecond} }

// next waits a moment, longer each time, or as long as the error asks for. It
// returns nil if the caller should try again, the error that led here if it was
// called too often, or the error of the context.
func (a *attempts) next(ctx context.Context, err error) error {
	if a.made++; a.made == a.max {
		return err
	}
	// The provider may know how many others there are, and how long a write takes.
	var paced interface {
		error
		After() time.Duration
	}
	if errors.As(err, &paced) {
		return sleep(ctx, paced.After())
	}
	return sleep(ctx, rand.N(min(a.maxWait, time.Millisecond<<min(a.made, 10))))
}
