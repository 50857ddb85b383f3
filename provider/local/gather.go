package local

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// gatherer lets what is stored at the same time be stored together, if it is much:
// up to maxAlone records are stored each by itself. Those that come then wait for
// each other, and those that come while they are stored are the next group. Nobody
// waits for others that may not come.
type gatherer struct {
	mu       sync.Mutex
	alone    int  // how many are
	grouping bool // from the first that waits until nobody does
	waiting  []*pending
}

// maxAlone is for how many records it is as fast to store each by itself: file
// systems make one commit of their journals of what waits for it together.
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

// begin reports whether a record is to be stored alone, until end is called. Else
// it waits, and first reports whether nobody stores what waits yet.
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

// A record that is open is either decided, by whoever holds the lock, or given up,
// by whoever waits for it: nothing is put in place after its caller has gone, where
// it could come after what the caller does next.
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
