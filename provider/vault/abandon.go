package vault

import (
	"context"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// drain is how long a change is left to end whose caller no longer waits.
const drain = time.Second

// A request that is cut off may still be carried out, and later than what the
// same process asks for next: the older value would stand over the newer one.
// So a change whose context ends is left to end by itself, a moment long, and
// the next change of that name waits for it.
type abandoned struct {
	mu     sync.Mutex
	byName map[nebula.Name]map[chan struct{}]bool
}

func (a *abandoned) add(name nebula.Name) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byName == nil {
		a.byName = make(map[nebula.Name]map[chan struct{}]bool)
	}
	if a.byName[name] == nil {
		a.byName[name] = make(map[chan struct{}]bool)
	}
	ended := make(chan struct{})
	a.byName[name][ended] = true
	return ended
}

func (a *abandoned) remove(name nebula.Name, ended chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byName[name], ended)
	if len(a.byName[name]) == 0 {
		delete(a.byName, name)
	}
	close(ended)
}

// wait returns when none of the name is left.
func (a *abandoned) wait(ctx context.Context, name nebula.Name) error {
	for {
		var ended chan struct{}
		a.mu.Lock()
		for ended = range a.byName[name] {
			break
		}
		a.mu.Unlock()
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

// change makes a call that changes what stands under a name.
func (p *Provider) change(ctx context.Context, name nebula.Name, r request) (*answer, error) {
	if err := p.abandoned.wait(ctx, name); err != nil {
		return nil, err
	}
	type outcome struct {
		answer *answer
		err    error
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan outcome, 1)
	go func() {
		a, err := p.call(detached, r)
		done <- outcome{a, err}
	}()
	select {
	case o := <-done:
		cancel()
		return o.answer, o.err
	case <-ctx.Done():
	}
	ended := p.abandoned.add(name)
	p.background.Go(func() {
		defer p.abandoned.remove(name, ended)
		defer cancel()
		waiting := time.AfterFunc(drain, cancel)
		defer waiting.Stop()
		<-done
	})
	return nil, ctx.Err()
}
