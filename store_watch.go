package nebula

import (
	"context"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultWatchInterval is the time between two looks at a backend that does
	// not report changes.
	defaultWatchInterval = 60 * time.Second
	minWatchInterval     = time.Second

	// listeningFactor is how many times rarer the looks are while the backend
	// reports changes. They find a change that was missed.
	listeningFactor = 10

	// watchBatch is how many credentials one look reads at a time.
	watchBatch = 500

	// refreshGap is the shortest time between two looks at a credential for
	// [Watcher.Refresh]: a login that fails again and again must not cause as
	// many reads.
	refreshGap = time.Second

	// firstRelisten is the pause before the backend is asked again to report
	// changes, if it stopped. It doubles, up to the interval.
	firstRelisten = 2 * time.Second

	// notifyGap lets several changes come together.
	notifyGap = 20 * time.Millisecond
)

// WatchOptions goes with [Store.Watch].
type WatchOptions struct {
	// Interval is the time between two looks at a backend that does not report
	// changes, give or take a fifth, so that many processes spread out. It is
	// at least 1 s, and 0 means 60 s. If a backend reports changes, looks are a
	// tenth as frequent.
	Interval time.Duration
}

// Change is a new state of a watched credential.
type Change struct {
	ID ID

	// Credential is the present credential. Its Secret is wiped when the body
	// of the loop ends: copy it if you need it longer.
	Credential Credential

	// Err says why there is none: ErrNotFound if it is gone, ErrCorrupted,
	// ErrWrongKey and the like if it cannot be read. If the backend cannot be
	// reached, that is a Change only at the first look.
	Err error
}

// Watcher watches credentials. See [Store.Watch].
type Watcher struct {
	store    *Store
	interval time.Duration
	names    []Name
	invalid  []Change

	wake    chan struct{} // holds one: there is something in asked
	success atomic.Int64  // time of the last look that reached the backend, in ns

	mu    sync.Mutex
	asked map[Name]time.Time // to be looked at, and not before
	last  map[Name]time.Time // the last look

	states map[Name]watchState // only the loop uses them
}

// watchState is the last known state of a credential.
type watchState struct {
	version  Version
	modified time.Time // as it was authenticated
	kind     Kind      // of the error; "" if it can be read
	known    bool
}

// Watch prepares to watch credentials. Nothing is read before
// [Watcher.Changes].
func (s *Store) Watch(options WatchOptions, ids ...ID) *Watcher {
	w := &Watcher{store: s, interval: options.Interval, wake: make(chan struct{}, 1),
		asked: make(map[Name]time.Time), last: make(map[Name]time.Time), states: make(map[Name]watchState)}
	if w.interval == 0 {
		w.interval = defaultWatchInterval
	}
	w.interval = max(w.interval, minWatchInterval)
	for _, id := range ids {
		name, err := id.Name()
		if err != nil {
			w.invalid = append(w.invalid, Change{ID: id, Err: s.locate(err, "watch", id)})
		} else if !slices.Contains(w.names, name) {
			w.names = append(w.names, name)
		}
	}
	return w
}

// Changes yields the present state of each credential, and then every change, until
// the context ends or the loop is left. Each credential is opened and checked as by
// [Store.Get]. A change of the seal alone, or of the time of the last read, is not
// a Change. If there are several changes between two looks, only the last one is
// seen.
//
// One loop at a time can run.
func (w *Watcher) Changes(ctx context.Context) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		ctx, cancel := context.WithCancel(ctx)
		listener := &listener{watcher: w}
		defer listener.wait()
		defer cancel()
		for _, c := range w.invalid {
			if !yield(c) {
				return
			}
		}
		for due := w.names; ; {
			listener.start(ctx)
			for batch := range slices.Chunk(due, watchBatch) {
				if !w.look(ctx, batch, yield) {
					return
				}
			}
			if due = w.await(ctx, listener); due == nil {
				return
			}
		}
	}
}

// Refresh makes the watcher look at credentials now, at all of them if none is
// named. Call it after a login that failed with the old value, for example. It does
// not wait. The watcher looks at the same credential at most once a second.
func (w *Watcher) Refresh(ids ...ID) {
	names := w.names
	if len(ids) > 0 {
		names = nil
		for _, id := range ids {
			if name, err := id.Name(); err == nil && slices.Contains(w.names, name) {
				names = append(names, name)
			}
		}
	}
	w.ask(names, refreshGap)
}

// Age is the time since all credentials were last known to be as they were
// yielded. It is negative if they were never known.
func (w *Watcher) Age() time.Duration {
	last := w.success.Load()
	if last == 0 {
		return -1
	}
	return max(0, time.Since(time.Unix(0, last)))
}

// ask requests a look at names, not sooner than gap after the last look.
func (w *Watcher) ask(names []Name, gap time.Duration) {
	now := time.Now()
	w.mu.Lock()
	for _, name := range names {
		at := now
		if last, ok := w.last[name]; ok && last.Add(gap).After(now) {
			at = last.Add(gap)
		}
		if asked, ok := w.asked[name]; !ok || at.Before(asked) {
			w.asked[name] = at
		}
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// await returns the names to look at next, or nil at the end of the context.
func (w *Watcher) await(ctx context.Context, l *listener) []Name {
	all := time.Now().Add(w.pause(l))
	for {
		next := all
		if asked, ok := w.nextAsked(); ok && asked.Before(all) {
			next = asked.Add(notifyGap)
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-w.wake:
			timer.Stop()
			if l.stopped() {
				all = minTime(all, time.Now().Add(w.pause(l)))
			}
		case <-timer.C:
			if !time.Now().Before(all) {
				w.takeAsked(time.Now())
				return w.names
			}
			if due := w.takeAsked(time.Now()); len(due) > 0 {
				return due
			}
		}
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pause returns the time to the next look at all names.
func (w *Watcher) pause(l *listener) time.Duration {
	interval := w.interval
	switch {
	case l.hears.Load():
		interval *= listeningFactor
	case l.stopped() && l.heard:
		interval = min(interval, firstRelisten<<min(l.failures, 10))
	}
	fifth := int64(interval / 5)
	return interval + time.Duration(rand.Int64N(2*fifth+1)-fifth)
}

func (w *Watcher) nextAsked() (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range maps.Values(w.asked) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// takeAsked returns the names whose time has come.
func (w *Watcher) takeAsked(now time.Time) []Name {
	w.mu.Lock()
	defer w.mu.Unlock()
	var due []Name
	for name, at := range w.asked {
		if !at.After(now) {
			due = append(due, name)
			delete(w.asked, name)
		}
	}
	return due
}
