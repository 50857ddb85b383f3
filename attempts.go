package nebula

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// attempts paces the repetitions of what others came before.
type attempts struct{ made, max int }

// newAttempts is for writes. Each round of such a race has a winner, so a
// loser's turn comes; the bound is for a backend that reports conflicts without
// end.
func newAttempts() *attempts { return &attempts{max: 100} }

// newRereads is for reads that find what another process has replaced since. The
// bound is for a backend that shows one old state after the other.
func newRereads() *attempts { return &attempts{max: 10} }

// next waits a moment, longer the more often, or as long as the error asks for. It
// returns nil to try again, the error that led here when it was too often, or that
// of the context.
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
	const minWait, maxWait = time.Millisecond, 32 * time.Millisecond
	return sleep(ctx, rand.N(min(maxWait, minWait<<min(a.made, 10))))
}
