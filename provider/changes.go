package provider

import (
	"context"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// drain is how long a change may go on after its caller stopped waiting.
const drain = time.Second

// Changes tracks the changes that go on after their callers stopped waiting. A
// server may still carry out a request that was cut off, and may do so after the
// next request of the same process: an older value would then replace a newer
// one. So a change gets a moment to end by itself, and the next change of the
// same name waits for it. The zero value tracks none.
type Changes struct {
	background sync.WaitGroup

	mu     sync.Mutex
	byName map[nebula.Name]map[chan struct{}]bool
}

// Change waits for the earlier changes of a name, then makes a call that changes
// the record of that name. It returns when the context ends; the call then has
// at most one more second.
func Change[T any](ctx context.Context, c *Changes, name nebula.Name, call func(context.Context) (T, error)) (T, error) {
	var none T
	if err := c.await(ctx, name); err != nil {
		return none, err
	}
	type outcome struct {
		answer T
		err    error
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan outcome, 1)
	go func() {
		answer, err := call(detached)
		done <- outcome{answer, err}
	}()
	select {
	case o := <-done:
		cancel()
		return o.answer, o.err
	case <-ctx.Done():
	}
	ended := c.add(name)
	c.background.Go(func() {
		defer c.remove(name, ended)
		defer cancel()
		waiting := time.AfterFunc(drain, cancel)
		defer waiting.Stop()
		<-done
	})
	return none, ctx.Err()
}

// Beside makes a call that cleans up after a change of a name. The call has its
// own time limit and does not end with ctx. Beside returns true when the call
// has ended, or false if ctx ends first. The next change of that name waits for
// the call.
func (c *Changes) Beside(ctx context.Context, name nebula.Name, limit time.Duration, call func(context.Context)) bool {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	ended := c.add(name)
	c.background.Go(func() {
		defer cancel()
		defer c.remove(name, ended)
		call(detached)
	})
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// Wait returns when no change is under way. It is for Close, when no change can
// begin any more.
func (c *Changes) Wait() { c.background.Wait() }

func (c *Changes) add(name nebula.Name) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = make(map[nebula.Name]map[chan struct{}]bool)
	}
	if c.byName[name] == nil {
		c.byName[name] = make(map[chan struct{}]bool)
	}
	ended := make(chan struct{})
	c.byName[name][ended] = true
	return ended
}

func (c *Changes) remove(name nebula.Name, ended chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName[name], ended)
	if len(c.byName[name]) == 0 {
		delete(c.byName, name)
	}
	close(ended)
}

// await returns when no change of the name is under way.
func (c *Changes) await(ctx context.Context, name nebula.Name) error {
	for {
		var ended chan struct{}
		c.mu.Lock()
		for ended = range c.byName[name] {
			break
		}
		c.mu.Unlock()
		if ended == nil {
			return ctx.Err()
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
