package remote

import (
	"context"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// drain is how long a change is left to end whose caller no longer waits.
const drain = time.Second

// Changes keeps the changes of a name in order. A request that is cut off may
// still be carried out, and later than what the same process asks for next: the
// older value would stand over the newer one. So a change whose context ends is
// left to end by itself, a second at most, and the next one of that name waits
// for it. The zero value is ready.
type Changes struct {
	background sync.WaitGroup

	mu   sync.Mutex
	left map[nebula.Name]map[chan struct{}]bool // closed when the change has ended
}

// Do makes a change. Its context does not end with ctx; Do does.
func (c *Changes) Do(ctx context.Context, name nebula.Name, change func(context.Context) error) error {
	if err := c.wait(ctx, name); err != nil {
		return err
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- change(detached) }()
	select {
	case err := <-done:
		cancel()
		return err
	case <-ctx.Done():
	}
	ended := c.leave(name)
	c.background.Go(func() {
		defer c.end(name, ended)
		defer cancel()
		limit := time.AfterFunc(drain, cancel)
		defer limit.Stop()
		<-done
	})
	return ctx.Err()
}

// Wait returns when no change is left that nobody waits for.
func (c *Changes) Wait() { c.background.Wait() }

func (c *Changes) leave(name nebula.Name) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil {
		c.left = make(map[nebula.Name]map[chan struct{}]bool)
	}
	if c.left[name] == nil {
		c.left[name] = make(map[chan struct{}]bool)
	}
	ended := make(chan struct{})
	c.left[name][ended] = true
	return ended
}

func (c *Changes) end(name nebula.Name, ended chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.left[name], ended)
	if len(c.left[name]) == 0 {
		delete(c.left, name)
	}
	close(ended)
}

func (c *Changes) wait(ctx context.Context, name nebula.Name) error {
	for ctx.Err() == nil {
		var ended chan struct{}
		c.mu.Lock()
		for ended = range c.left[name] {
			break
		}
		c.mu.Unlock()
		if ended == nil {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
