package provider

import (
	"context"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// drain is how long a change is left to end whose caller no longer waits.
const drain = time.Second

// Changes are those that are under way without their caller. A request that is
// cut off may still be carried out, and later than what the same process asks
// for next: the older value would stand over the newer one. So it is left to
// end by itself, a moment long, and the next change of that name waits for it.
// The zero value has none.
type Changes struct {
	background sync.WaitGroup

	mu     sync.Mutex
	byName map[nebula.Name]map[chan struct{}]bool
}

// Change makes a call that changes what stands under a name, when those before
// it have ended. It returns with the context; the call is given at most a
// second more.
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

// Beside makes a call that puts in order what a change of a name left. It gives
// the call its own limit of time, whatever becomes of ctx, and returns with it
// or with ctx: true says that the call has ended. The next change of that name
// waits for it.
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

// Wait returns when none is left. It is for Close, when no more can begin.
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

// await returns when none of the name is left.
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
