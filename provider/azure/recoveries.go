package azure

import (
	"context"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// recoveries are the deleted secrets that were recovered to be written over,
// and are not written over yet.
type recoveries struct {
	patience context.Context // ends when the driver closes: nobody will take one over
	hurry    context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	byName map[nebula.Name]*recovery
}

// recovery is one of them.
type recovery struct {
	version nebula.Version
	stop    context.CancelFunc // of the deletion that undoes it; nil while a write is under way
	ended   chan struct{}      // closed when that has ended
	err     error              // how it ended
}

func newRecoveries() *recoveries {
	r := &recoveries{byName: make(map[nebula.Name]*recovery)}
	r.patience, r.hurry = context.WithCancel(context.Background())
	return r
}

// close returns when no recovery is being undone. If some are, it calls waiting
// first.
func (r *recoveries) close(waiting func()) {
	r.hurry()
	if r.undoing() {
		waiting()
	}
	r.running.Wait()
}

func (r *recoveries) undoing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.byName {
		if c.stop != nil {
			return true
		}
	}
	return false
}

// pause gives a retry the time to take a recovery over.
func (r *recoveries) pause(ctx context.Context, clock provider.Clock) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.patience, cancel)()
	_ = clock.Sleep(ctx, retryGrace)
}

// begin notes that a write is about to recover a version.
func (r *recoveries) begin(name nebula.Name, v nebula.Version) {
	r.put(name, &recovery{version: v})
}

func (r *recoveries) put(name nebula.Name, c *recovery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byName[name] = c
}

func (r *recoveries) get(name nebula.Name) *recovery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byName[name]
}

// settle forgets the recovery of a name that was written over.
func (r *recoveries) settle(name nebula.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byName, name)
}

// holds reports whether a version was recovered only to be written over.
func (r *recoveries) holds(name nebula.Name, v nebula.Version) bool {
	c := r.get(name)
	return c != nil && c.version == v
}

// watch returns a function that reports whether a version is, or was since,
// recovered only to be written over: the deletion may end while the version is
// read.
func (r *recoveries) watch(name nebula.Name) func(nebula.Version) bool {
	before := r.get(name)
	return func(v nebula.Version) bool { return before != nil && before.version == v || r.holds(name, v) }
}

// undo begins to delete a recovered version again, with the given function.
func (r *recoveries) undo(name nebula.Name, v nebula.Version, remove func(context.Context) error) *recovery {
	ctx, cancel := context.WithCancel(context.Background())
	c := &recovery{version: v, stop: cancel, ended: make(chan struct{})}
	r.put(name, c)
	r.running.Go(func() {
		defer close(c.ended)
		defer cancel()
		c.err = remove(ctx)
		if ctx.Err() != nil { // a write took it over
			c.err = errOvertaken
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.byName[name] == c {
			delete(r.byName, name)
		}
	})
	return c
}

// claim stops the deletion that is under way for a name. It returns the version
// that an earlier attempt recovered and that may still be stored, or "". The
// caller writes over it, or has it deleted again.
func (r *recoveries) claim(ctx context.Context, name nebula.Name) (nebula.Version, error) {
	if c := r.get(name); c != nil && c.stop != nil {
		c.stop()
		if err := c.wait(ctx); err != nil {
			return c.version, err
		}
	}
	if c := r.get(name); c != nil {
		return c.version, nil
	}
	return "", nil
}

// await returns when no deletion is under way for a name.
func (r *recoveries) await(ctx context.Context, name nebula.Name) error {
	if c := r.get(name); c != nil && c.stop != nil {
		return c.wait(ctx)
	}
	return nil
}

func (c *recovery) wait(ctx context.Context) error {
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
