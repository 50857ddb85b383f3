package nebula_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// If the provider stores many records together, many are written at once.
func TestJobs(t *testing.T) {
	f := newFixture(t)
	alone := struct{ nebula.Provider }{f.memory}
	for _, c := range []struct {
		p                 nebula.Provider
		concurrency, want int
	}{{f.memory, 0, 128}, {f.memory, 4, 64}, {f.memory, 1, 1}, {alone, 0, 8}, {alone, 4, 4}, {alone, 1, 1}} {
		s, err := nebula.Open(t.Context(), c.p, nebula.Options{MaxConcurrency: c.concurrency})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Jobs(); got != c.want {
			t.Errorf("%T with MaxConcurrency %d has %d jobs, want %d", c.p, c.concurrency, got, c.want)
		}
	}
}

// A rotation works on many small records at once, but on at most MaxConcurrency large
// ones. Otherwise the memory would grow with the size of the records.
func TestRotateHoldsFewLargeRecords(t *testing.T) {
	const concurrency, records = 3, 60
	for what, c := range map[string]struct{ size, most int }{"small": {100, records}, "large": {100_000, concurrency}} {
		t.Run(what, func(t *testing.T) {
			f := newFixture(t)
			for i := range records {
				put(t, f.Store, nebula.ID(fmt.Sprint("x", i)), strings.Repeat("v", c.size), nebula.PutOptions{})
			}
			var under, most atomic.Int64
			p := f.connect(t, provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
				if call.Op == provider.OpStore && !call.Name.IsKeyring() {
					most.Store(max(most.Load(), under.Add(1)))
					defer under.Add(-1)
					time.Sleep(20 * time.Millisecond)
				}
				return next(ctx)
			}))
			s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{f.key}, MaxConcurrency: concurrency, Now: f.clock.now})
			if err != nil {
				t.Fatal(err)
			}
			if result, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil || result.Sealed != records {
				t.Fatalf("%+v, %v", result, err)
			}
			switch n := int(most.Load()); {
			case n > c.most, what == "small" && n <= concurrency:
				t.Errorf("%d records were stored at once", n)
			}
		})
	}
}
