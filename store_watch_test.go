package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// mute hides that a provider reports changes.
type mute struct {
	nebula.Provider
	nebula.BatchRetriever
}

// looks counts the calls that read records, and can fail them.
type looks struct {
	mu    sync.Mutex
	count int
	fail  error
}

func (l *looks) intercept(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if call.Op != provider.OpRetrieveBatch && (call.Op != provider.OpRetrieve || call.Name.IsKeyring()) {
		return next(ctx)
	}
	l.count++
	if l.fail != nil {
		return l.fail
	}
	return next(ctx)
}

func (l *looks) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.count
	l.count = 0
	return n
}

func (l *looks) setFail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

// watching is a Watcher that collects its changes, in simulated time.
type watching struct {
	*fixture
	*nebula.Watcher
	looks *looks

	mu   sync.Mutex
	seen []string
	kept []nebula.Secret
	end  func()
}

func watch(t *testing.T, f *fixture, tells bool, options nebula.WatchOptions, ids ...nebula.ID) *watching {
	w := &watching{fixture: f, looks: &looks{}}
	p := f.connect(t, provider.WithInterceptors(w.looks.intercept))
	if !tells {
		p = mute{p, p.(nebula.BatchRetriever)}
	}
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{f.key}})
	if err != nil {
		t.Fatal(err)
	}
	w.Watcher = s.Watch(options, ids...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c := range w.Changes(ctx) {
			text := string(c.ID) + "=" + string(c.Credential.Secret.Reveal())
			if c.Err != nil {
				text = string(c.ID) + ": " + string(nebula.KindOf(c.Err))
			}
			w.mu.Lock()
			w.seen, w.kept = append(w.seen, text), append(w.kept, c.Credential.Secret)
			w.mu.Unlock()
		}
	}()
	w.end = func() { cancel(); <-done }
	return w
}

// wants waits, and compares the changes since the last time.
func (w *watching) wants(t *testing.T, wait time.Duration, want ...string) {
	t.Helper()
	time.Sleep(wait)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.seen)
	if !slices.Equal(w.seen, want) {
		t.Errorf("saw %q, want %q", w.seen, want)
	}
	for _, secret := range w.kept {
		if secret.Len() != 0 {
			t.Error("a value was left in memory")
		}
	}
	w.seen, w.kept = nil, nil
}

func TestWatch(t *testing.T) {
	for _, tells := range []bool{false, true} {
		t.Run(fmt.Sprintf("tells %v", tells), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				put(t, f.Store, "a", "1", nebula.PutOptions{})
				put(t, f.Store, "b", "1", nebula.PutOptions{})
				w := watch(t, f, tells, nebula.WatchOptions{Interval: 10 * time.Second}, "a", "b", "c", "not an id", "a")
				defer w.end()
				soon := 12*time.Second + time.Millisecond
				if tells {
					soon = 100 * time.Millisecond
				}
				w.wants(t, 100*time.Millisecond, "a=1", "b=1", "c: not_found", "not an id: invalid_id")
				w.wants(t, time.Hour)
				f.clock.advance(time.Second)
				put(t, f.Store, "a", "2", nebula.PutOptions{})
				put(t, f.Store, "c", "1", nebula.PutOptions{})
				w.wants(t, soon, "a=2", "c=1")
				if _, err := f.Delete(t.Context(), "b", nebula.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				w.wants(t, soon, "b: not_found")
				w.wants(t, time.Minute)
				if err := f.Restore(t.Context(), "b"); err != nil {
					t.Fatal(err)
				}
				w.wants(t, soon, "b=1")
				swap(t, f.memory, "a", "c")
				w.wants(t, soon, "c: corrupted")
				w.wants(t, time.Hour)
				put(t, f.Store, "c", "2", nebula.PutOptions{Force: true})
				w.wants(t, soon, "c=2")
				// Another data key changes how values are sealed, and not the values.
				if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
					t.Fatal(err)
				}
				w.wants(t, time.Hour)
				f.clock.advance(time.Second)
				put(t, f.Store, "a", "3", nebula.PutOptions{})
				w.wants(t, soon, "a=3")
			})
		})
	}
}

// The number of batches in an hour, as the table of docs/library.md says.
func TestWatchCosts(t *testing.T) {
	for _, tells := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			var ids []nebula.ID
			for i := range 1000 {
				ids = append(ids, nebula.ID(fmt.Sprintf("id%d", i)))
				put(t, f.Store, ids[i], "v", nebula.PutOptions{})
			}
			w := watch(t, f, tells, nebula.WatchOptions{}, ids...)
			defer w.end()
			time.Sleep(time.Second)
			w.looks.take()
			time.Sleep(time.Hour)
			synctest.Wait()
			// 1,000 ids are two batches: every minute, or every ten minutes.
			least, most := 100, 150
			if tells {
				least, most = 10, 15
			}
			if got := w.looks.take(); got < least || got > most {
				t.Errorf("tells %v: %d batches in an hour", tells, got)
			}
		})
	}
}

func TestWatchThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		put(t, f.Store, "a", "1", nebula.PutOptions{})
		w := watch(t, f, false, nebula.WatchOptions{Interval: 10 * time.Second}, "a")
		w.wants(t, time.Second, "a=1")
		if age := w.Age(); age < 0 || age > 2*time.Second {
			t.Errorf("age %v", age)
		}
		w.looks.setFail(&nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"})
		f.clock.advance(time.Second)
		put(t, f.Store, "a", "2", nebula.PutOptions{})
		w.wants(t, time.Minute)
		if age := w.Age(); age < 48*time.Second {
			t.Errorf("age in an outage: %v", age)
		}
		w.looks.setFail(nil)
		w.wants(t, 13*time.Second, "a=2")
		w.end()
		// If a credential cannot be reached from the beginning, that is reported once.
		down := watch(t, f, false, nebula.WatchOptions{Interval: 10 * time.Second}, "a")
		defer down.end()
		down.looks.setFail(&nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"})
		time.Sleep(time.Minute)
		down.looks.setFail(nil)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := fmt.Sprint(down.seen); got != "[a: unavailable a=2]" && got != "[a=2]" {
			t.Errorf("saw %s", got)
		}
	})
}

// A caller that asks for a refresh all the time, like a login that fails, causes one
// look a second.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		put(t, f.Store, "a", "1", nebula.PutOptions{})
		put(t, f.Store, "b", "1", nebula.PutOptions{})
		w := watch(t, f, false, nebula.WatchOptions{Interval: time.Hour}, "a", "b")
		defer w.end()
		w.wants(t, 2*time.Second, "a=1", "b=1")
		f.clock.advance(time.Second)
		put(t, f.Store, "a", "2", nebula.PutOptions{})
		w.Refresh("a")
		w.wants(t, 100*time.Millisecond, "a=2")
		w.looks.take()
		for range 100 {
			w.Refresh("a", "stranger")
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if got := w.looks.take(); got < 9 || got > 11 {
			t.Errorf("%d looks in ten seconds", got)
		}
		f.clock.advance(time.Second)
		put(t, f.Store, "b", "2", nebula.PutOptions{})
		w.Refresh()
		w.wants(t, 2*time.Second, "b=2")
	})
}

// After the loop nothing runs any more. For a closed store the loop says so once.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		put(t, f.Store, "a", "1", nebula.PutOptions{})
		w := f.Watch(nebula.WatchOptions{}, "a")
		for c := range w.Changes(t.Context()) {
			if c.ID != "a" {
				t.Error(c)
			}
			break
		}
		for range f.Watch(nebula.WatchOptions{}, "a").Changes(t.Context()) {
			f.Close() // inside the loop: neither waits for the other
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		kinds := []nebula.Kind{}
		for c := range f.Watch(nebula.WatchOptions{}, "a").Changes(ctx) {
			kinds = append(kinds, nebula.KindOf(c.Err))
		}
		if !slices.Equal(kinds, []nebula.Kind{nebula.ErrClosed}) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("for a closed store: %v", kinds)
		}
	})
}
