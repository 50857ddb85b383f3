package statefile

import "sync"

// rounds lets one read or write of the file serve several callers.
//
// A caller joins the round that has not begun yet. So every round begins after all
// callers that it serves have come, and those that come while one runs share the
// next.
type rounds[L any] struct {
	running sync.Mutex // held while a round runs

	mu      sync.Mutex
	waiting *round[L] // may still be joined; nil if there is none
}

type round[L any] struct {
	done    chan struct{}
	updates []*update[L]

	// The result of a round of loads.
	snapshot *Snapshot[L]
	err      error
}

type update[L any] struct {
	key    string
	change func(*L) *L
	err    error
}

// join returns a round that has run, to which u, if it is not nil, was added. run
// is called for the first that joins it.
func (s *rounds[L]) join(u *update[L], run func(*round[L])) *round[L] {
	s.mu.Lock()
	r, first := s.waiting, s.waiting == nil
	if first {
		r = &round[L]{done: make(chan struct{})}
		s.waiting = r
	}
	if u != nil {
		r.updates = append(r.updates, u)
	}
	s.mu.Unlock()
	if !first {
		<-r.done
		return r
	}
	s.running.Lock()
	defer s.running.Unlock()
	s.mu.Lock()
	s.waiting = nil
	s.mu.Unlock()
	defer close(r.done)
	run(r)
	return r
}
