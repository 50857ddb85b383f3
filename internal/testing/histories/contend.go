package histories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// Load describes concurrent callers on one credential. Each of them reads and writes it
// repeatedly, on the condition that it has not changed since the read.
type Load struct {
	Callers int
	Rounds  int // of each caller
	Seed    uint64

	Unconditional float64 // the share of changes without a condition; 1 for backends that cannot compare
	Deletes       float64 // the share of rounds that delete the credential instead
	Pause         time.Duration
	Timeout       time.Duration // of each call; a minute if 0
}

// Contend puts the load on a name and returns what happened, for History.Verify. It
// calls provider once for each caller. Calls may fail, for example behind a proxy that
// makes them fail: only the history decides.
func Contend(t testing.TB, name nebula.Name, provider func(caller int) nebula.Provider, l Load) *History {
	t.Helper()
	if l.Timeout == 0 {
		l.Timeout = time.Minute
	}
	h := New()
	var wg sync.WaitGroup
	for i := range l.Callers {
		c := contender{Provider: h.Provider(provider(i), name), load: l, random: rand.New(rand.NewPCG(l.Seed, uint64(i)))}
		wg.Go(func() {
			for range l.Rounds {
				if err := c.round(t.Context(), name); err != nil {
					t.Errorf("caller %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return h
}

type contender struct {
	*Provider
	load   Load
	random *rand.Rand
}

// round makes one read and one change. Its error means that it could not begin the
// change.
func (c *contender) round(ctx context.Context, name nebula.Name) error {
	time.Sleep(time.Duration(c.random.Int64N(int64(c.load.Pause) + 1)))
	record, readErr := limited(ctx, c.load.Timeout, c.Retrieve)
	if c.random.Float64() < c.load.Deletes {
		var condition nebula.Precondition
		if readErr == nil && c.random.Float64() >= c.load.Unconditional {
			condition = nebula.IfVersion(record.Version)
		}
		_, _ = limited(ctx, c.load.Timeout, func(ctx context.Context) (bool, error) { return c.Delete(ctx, condition) })
		return nil
	}
	var options nebula.StoreOptions
	switch {
	case c.random.Float64() < c.load.Unconditional:
	case readErr == nil:
		options.Precondition = nebula.IfVersion(record.Version)
	case OutcomeOf(Get, readErr) == Absent:
		options.Precondition = nebula.IfAbsent()
	default:
		return nil // the read says nothing, so there is no condition for a write
	}
	now := time.Now().UTC().Truncate(time.Second)
	envelope, err := nebula.SealRecord([32]byte{}, name, nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: now, LastModified: now})
	if err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	_, _ = limited(ctx, c.load.Timeout, func(ctx context.Context) (nebula.Version, error) { return c.Store(ctx, envelope, options) })
	return nil
}

func limited[T any](ctx context.Context, limit time.Duration, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return call(ctx)
}
