package local

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// gatherer stores records together that many callers store at the same time. Up to
// maxAlone records are stored one by one. Those that come then wait for each other
// and form a group, and those that come while it is stored form the next group.
// Nobody waits for others that may not come.
type gatherer struct {
	mu       sync.Mutex
	alone    int  // how many are
	grouping bool // from the first that waits until nobody does
	waiting  []*pending
}

// maxAlone is the number of records up to which storing them one by one is as
// fast: file systems make one journal commit for all that wait for it.
const maxAlone = 16

// gather stores a record, alone or with others, or gives up when its context ends.
func (d *driver) gather(p *pending) (nebula.Version, error) {
	alone, first := d.gatherer.begin(p)
	if alone {
		d.storeGroup([]*pending{p})
		d.gatherer.end()
		return p.Version, p.Err
	}
	if first {
		d.background.Go(d.storeWaiting)
	}
	select {
	case <-p.done:
	case <-p.ctx.Done():
		if p.giveUp() {
			return "", context.Cause(p.ctx)
		}
		<-p.done
	}
	return p.Version, p.Err
}

// storeWaiting stores one group after the other until nobody waits.
func (d *driver) storeWaiting() {
	for group := d.gatherer.next(); group != nil; group = d.gatherer.next() {
		d.storeGroup(group)
		for _, p := range group {
			close(p.done)
		}
	}
}

// begin reports whether to store a record alone, until end is called. Otherwise
// the record waits, and first reports whether nobody stores the waiting records
// yet.
func (g *gatherer) begin(p *pending) (alone, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.grouping && g.alone < maxAlone {
		g.alone++
		return true, false
	}
	p.done = make(chan struct{})
	g.waiting = append(g.waiting, p)
	first, g.grouping = !g.grouping, true
	return false, first
}

func (g *gatherer) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone--
}

// next returns the next group, or nil if nobody waits.
func (g *gatherer) next() []*pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size, most := 0, 0, atomicfile.MaxStaged()
	for ; n < len(g.waiting) && n < most; n++ {
		if size += len(g.waiting[n].Envelope.Bytes()); n > 0 && size > nebula.MaxBatchBytes {
			break
		}
	}
	if n == 0 {
		g.grouping = false
		return nil
	}
	group := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return group
}

// An open record is either decided, by the goroutine that holds the lock, or given
// up, by the goroutine that waits for it. So no record is put in place after its
// caller has gone, when it could come after the caller's next operation.
const (
	isOpen = iota
	isDecided
	isGivenUp
)

// decide reports whether the record may be put in place.
func (p *pending) decide() bool {
	return p.state.CompareAndSwap(isOpen, isDecided) || p.state.Load() == isDecided
}

// giveUp reports whether the record will not be put in place.
func (p *pending) giveUp() bool { return p.state.CompareAndSwap(isOpen, isGivenUp) }

// whileAny returns a context that ends when those of all records have ended. The
// records of a batch have the same one.
func whileAny(group []*pending) (context.Context, context.CancelFunc) {
	if group[0].done == nil {
		return group[0].ctx, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := new(atomic.Int64)
	left.Store(int64(len(group)))
	stops := make([]func() bool, len(group))
	for i, p := range group {
		stops[i] = context.AfterFunc(p.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		cancel()
		for _, stop := range stops {
			stop()
		}
	}
}
