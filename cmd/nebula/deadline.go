package main

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends after a time. Waiting for a person does not
// count.
type deadline struct {
	context.Context // values, and the signals that end it early

	done chan struct{}

	mu      sync.Mutex
	err     error
	timer   *time.Timer // nil while there is no limit or the clock is stopped
	left    time.Duration
	since   time.Time
	limited bool
	pauses  int
}

// newDeadline returns a context that ends after limit. 0 means never.
func newDeadline(parent context.Context, limit time.Duration) *deadline {
	d := &deadline{Context: parent, done: make(chan struct{})}
	context.AfterFunc(parent, func() { d.end(parent.Err()) })
	d.extend(limit)
	return d
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.done }

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Deadline implements context.Context. It returns the deadline that holds if
// nobody is asked from now on.
func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.limited {
		return time.Time{}, false
	}
	if d.timer == nil {
		return time.Now().Add(d.left), true
	}
	return d.since.Add(d.left), true
}

// extend sets another limit, from now on.
func (d *deadline) extend(limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halt()
	d.limited, d.left = limit > 0, limit
	if d.pauses == 0 {
		d.start()
	}
}

// pause stops the clock until the function that it returns is called.
func (d *deadline) pause() (resume func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pauses++
	d.halt()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.pauses--; d.pauses == 0 {
			d.start()
		}
	})
}

// stop frees the timer.
func (d *deadline) stop() { d.end(context.Canceled) }

func (d *deadline) start() {
	if d.limited && d.err == nil {
		d.since = time.Now()
		d.timer = time.AfterFunc(d.left, func() { d.end(context.DeadlineExceeded) })
	}
}

func (d *deadline) halt() {
	if d.timer == nil {
		return
	}
	d.timer.Stop()
	d.timer = nil
	d.left = max(0, d.left-time.Since(d.since))
}

func (d *deadline) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	d.err = err
	d.halt()
	close(d.done)
}
