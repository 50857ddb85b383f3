package many

import (
	"context"
	"errors"
	"sync"
	"time"
)

// unhurried is a context that ends when the time of another one is over, and not
// when that is cancelled. A context of the standard library would report the
// cancellation, also to the contexts made from it.
type unhurried struct {
	context.Context // for its values

	other context.Context
	done  chan struct{}
	end   func(error) // once
	err   error       // set before done is closed
}

func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	u := &unhurried{Context: context.WithoutCancel(ctx), other: ctx, done: make(chan struct{})}
	var once sync.Once
	u.end = func(err error) { once.Do(func() { u.err = err; close(u.done) }) }
	stop := context.AfterFunc(ctx, func() {
		if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			u.end(err)
		}
	})
	return u, func() { stop(); u.end(context.Canceled) }
}

// Done implements context.Context.
func (u *unhurried) Done() <-chan struct{} { return u.done }

// Err implements context.Context.
func (u *unhurried) Err() error {
	select {
	case <-u.done:
		return u.err
	default:
		return nil
	}
}

// Deadline implements context.Context.
func (u *unhurried) Deadline() (time.Time, bool) { return u.other.Deadline() }
