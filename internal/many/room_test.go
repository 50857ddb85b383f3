package many_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula/internal/many"
)

// A few large items are under way at a time, and as many small ones as there are jobs.
func TestRoom(t *testing.T) {
	const large, jobs = 2, 16
	for name, c := range map[string]struct{ size, want int }{"small": {1 << 10, jobs}, "large": {1 << 20, large}} {
		inBubble(t, name, func(t *testing.T) {
			room := many.NewRoom(large)
			var under, most atomic.Int64
			results, err := all(many.Do(t.Context(), many.Of(upTo(64)), many.Options{Jobs: jobs},
				func(ctx context.Context, i int) (int, error) {
					place, err := room.Enter(ctx)
					if err != nil {
						return 0, err
					}
					defer place.Leave()
					place.Sized(c.size)
					most.Store(max(most.Load(), under.Add(1)))
					defer under.Add(-1)
					time.Sleep(time.Second)
					return i, nil
				}))
			if err != nil || len(results) != 64 || count(results, nil) != 64 || int(most.Load()) != c.want {
				t.Errorf("%d results, %v, %d at once", len(results), err, most.Load())
			}
		})
	}
}

// Enter stops waiting for a place when the context ends.
func TestRoomContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := many.NewRoom(1)
		place, err := room.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := room.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		place.Leave()
		place.Leave() // the second call frees nothing
		if _, err := room.Enter(t.Context()); err != nil {
			t.Errorf("after a place was left: %v", err)
		}
	})
}
