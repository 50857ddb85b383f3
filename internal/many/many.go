// Package many does work on many items, some of them at once, for operations on
// many credentials.
//
// It does not limit the pace: each call that the work makes goes through the
// policy of its provider, with its retries and limits. [Options].Jobs says how
// many items are under way, and the policy says how the backend is treated.
package many

import (
	"context"
	"iter"
	"sync"
)

// DefaultJobs is how many items are under way at once if nobody says otherwise.
const DefaultJobs = 8

// Options goes with [Do].
type Options struct {
	Jobs int // items under way at once; 0 is DefaultJobs

	// Ordered delivers results in the order of the items, and not as they come.
	// An item that takes long then holds up those after it, Jobs in all.
	Ordered bool

	// Finish lets the work under way finish if the context is cancelled, as by
	// a signal. The end of the context's time ends it even so.
	Finish bool

	// Cancel, if it is set, is called as soon as no more work is to begin, perhaps
	// more than once. It cancels the context of items, if taking one may block.
	Cancel context.CancelFunc

	// Judge says what a failure concerns. Without it, each failure concerns its
	// item. One goroutine at a time calls it.
	Judge func(error) About
}

// About is what a failure concerns.
type About int

// The things that a failure may concern.
const (
	AboutItem    About = iota // nothing but the item
	AboutBackend              // what all items need: as many in a row as there are Jobs end the run
	AboutRun                  // all that is to come: it ends the run
)

// Result is the outcome for an item.
type Result[T, R any] struct {
	Index int // of the item, from 0
	Item  T
	Value R
	Err   error
}

// Do calls work for each item and delivers the results to one loop, one after
// the other. It keeps neither items nor results: memory does not grow with
// their number, and a slow loop slows the work.
//
// If a run ends early, it begins nothing more, finishes the work under way and
// delivers it. Then it yields an error, alone, and as it came: the context's,
// that of items, or the failure that Judge found to concern more than its item.
// An item without a result was not begun. If the loop is left, the context of
// the work under way is cancelled, unless Finish is set, and Do waits for the
// work to return.
//
// Items are taken by another goroutine than the one that runs the loop.
func Do[T, R any](ctx context.Context, items iter.Seq2[T, error], o Options,
	work func(context.Context, T) (R, error)) iter.Seq2[Result[T, R], error] {
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs
	}
	return func(yield func(Result[T, R], error) bool) {
		r := &run[T, R]{ctx: ctx, options: o, work: work, results: make(chan Result[T, R])}
		under, cancel := r.workContext()
		defer func() {
			if r.stop(context.Canceled); !o.Finish {
				cancel()
			}
			for range r.results { // of a loop that was left
			}
			cancel()
		}()
		go r.begin(under, items)
		for result := range r.results {
			if !yield(result, nil) {
				return
			}
		}
		if r.stopped != nil {
			yield(Result[T, R]{}, r.stopped)
		}
	}
}

type run[T, R any] struct {
	ctx     context.Context
	options Options
	work    func(context.Context, T) (R, error)
	results chan Result[T, R] // closed when nothing is under way any more

	mu      sync.Mutex
	inARow  int   // failures about the backend, with no other result between
	stopped error // why no more is begun
}

// workContext returns the context of the work under way.
func (r *run[T, R]) workContext() (context.Context, context.CancelFunc) {
	if r.options.Finish {
		return finishing(r.ctx)
	}
	return context.WithCancel(r.ctx)
}

// begin begins work on one item after the other, as there is room.
func (r *run[T, R]) begin(under context.Context, items iter.Seq2[T, error]) {
	var group sync.WaitGroup
	defer close(r.results)
	defer group.Wait()
	room := make(chan struct{}, r.options.Jobs)
	turn, i := closed(), 0
	for item, err := range items {
		if err != nil {
			r.stop(err)
			return
		}
		if room <- struct{}{}; !r.goesOn() {
			return
		}
		result, mine, next := Result[T, R]{Index: i, Item: item}, turn, make(chan struct{})
		group.Go(func() {
			defer func() { <-room }()
			defer close(next)
			result.Value, result.Err = r.work(under, result.Item)
			r.note(result.Err)
			if r.options.Ordered {
				<-mine
			}
			r.results <- result
		})
		turn, i = next, i+1
	}
}

// goesOn reports whether more may begin.
func (r *run[T, R]) goesOn() bool {
	if err := r.ctx.Err(); err != nil {
		r.stop(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped == nil
}

func (r *run[T, R]) stop(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(why)
}

// end is stop for a caller that holds the lock.
func (r *run[T, R]) end(why error) {
	if r.stopped == nil {
		r.stopped = why
	}
	if r.options.Cancel != nil {
		r.options.Cancel()
	}
}

// note evaluates the outcome of an item. A failure after the end of the context
// is due to that.
func (r *run[T, R]) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := AboutItem
	if err != nil && r.options.Judge != nil && r.ctx.Err() == nil {
		about = r.options.Judge(err)
	}
	if about == AboutBackend {
		r.inARow++
	} else {
		r.inARow = 0
	}
	if about == AboutRun || r.inARow >= r.options.Jobs {
		r.end(err)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
