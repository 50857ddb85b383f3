package atomicfile

import "sync"

// Flusher lets one flush, of a directory for example, serve several callers.
//
// A caller joins the round that has not begun yet. So every flush begins after
// the changes of all callers that it serves, and callers that come while one
// runs share the next.
type Flusher struct {
	running sync.Mutex // held while a round flushes

	mu      sync.Mutex
	waiting *round // may still be joined; nil if there is none
}

type round struct {
	done chan struct{}
	err  error
}

// Flush returns when a flush has ended that began after the call.
func (f *Flusher) Flush(flush func() error) error {
	f.mu.Lock()
	if r := f.waiting; r != nil {
		f.mu.Unlock()
		<-r.done
		return r.err
	}
	r := &round{done: make(chan struct{})}
	f.waiting = r
	f.mu.Unlock()

	f.running.Lock()
	f.mu.Lock()
	f.waiting = nil
	f.mu.Unlock()
	r.err = flush()
	f.running.Unlock()
	close(r.done)
	return r.err
}
