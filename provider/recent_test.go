package provider_test

import (
	"context"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/provider"
)

// setClock is a clock that a test sets.
type setClock struct{ now time.Time }

func (c *setClock) Now() time.Time                             { return c.now }
func (c *setClock) Sleep(context.Context, time.Duration) error { return nil }
func (c *setClock) Random() float64                            { return 0 }

func TestRecent(t *testing.T) {
	clock := &setClock{now: time.Unix(1000, 0)}
	r := provider.NewRecent[string, int](clock, 10, 2*time.Second)
	if _, ok := r.Get("a"); ok {
		t.Error("an empty memory knows something")
	}
	r.Note("a", 1)
	r.Note("a", 2)
	if v, ok := r.Get("a"); !ok || v != 2 {
		t.Errorf("it remembers %d, %v, want 2", v, ok)
	}
	if v, ok := r.Take("a"); !ok || v != 2 {
		t.Errorf("it gives %d, %v, want 2", v, ok)
	}
	if _, ok := r.Take("a"); ok {
		t.Error("an entry that was taken is still there")
	}
	r.Note("a", 3)
	r.Forget("a")
	if _, ok := r.Get("a"); ok {
		t.Error("a forgotten entry is still there")
	}
}

func TestRecentAge(t *testing.T) {
	clock := &setClock{now: time.Unix(1000, 0)}
	aging := provider.NewRecent[string, int](clock, 10, 2*time.Second)
	lasting := provider.NewRecent[string, int](clock, 10, 0)
	for _, c := range []struct {
		pass  time.Duration
		fresh bool
	}{{0, true}, {2*time.Second - 1, true}, {2 * time.Second, false}, {-time.Second, false}} {
		clock.now = time.Unix(1000, 0)
		aging.Note("a", 1)
		lasting.Note("a", 1)
		clock.now = clock.now.Add(c.pass)
		if _, ok := aging.Get("a"); ok != c.fresh {
			t.Errorf("after %v it remembers: %v", c.pass, ok)
		}
		clock.now = time.Unix(1000, 0)
		if _, ok := aging.Get("a"); ok != c.fresh {
			t.Errorf("after %v, and a clock that was set back, it remembers: %v", c.pass, ok)
		}
		clock.now = clock.now.Add(c.pass)
		if _, ok := lasting.Get("a"); !ok {
			t.Errorf("without a limit it forgot after %v", c.pass)
		}
	}
}

// A full memory keeps the younger half, and never more than its bound.
func TestRecentBound(t *testing.T) {
	const bound = 10
	r := provider.NewRecent[int, int](&setClock{}, bound, 0)
	for i := range 1000 {
		r.Note(i, i)
		known := 0
		for k := range i + 1 {
			if v, ok := r.Get(k); ok && v == k {
				known++
			} else if k > i-bound/2 {
				t.Fatalf("%d of %d is forgotten", k, i)
			}
		}
		if known > bound {
			t.Fatalf("it remembers %d", known)
		}
	}
}

// An entry that is noted again takes no more room, and a forgotten one is in neither
// half.
func TestRecentHalves(t *testing.T) {
	const bound = 10
	r := provider.NewRecent[int, int](&setClock{}, bound, 0)
	for _, k := range []int{0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9} {
		r.Note(k, k)
	}
	for k := range bound {
		if _, ok := r.Get(k); !ok {
			t.Errorf("%d of %d is forgotten", k, bound)
		}
	}
	for k := range bound {
		r.Forget(k)
		if _, ok := r.Get(k); ok {
			t.Errorf("%d is still there", k)
		}
	}
}
