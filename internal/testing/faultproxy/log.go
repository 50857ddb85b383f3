package faultproxy

import (
	"net/http"
	"slices"
	"sync"
	"testing"
)

// Event is one request that the proxy received.
type Event struct {
	Method     string
	Path       string
	Proto      string // HTTP/1.1 or HTTP/2.0
	Connection int    // the proxy's first connection is 1
	Kind       Kind   // of the fault
	Status     int    // of the server; 0 if it has not answered
	Err        error  // why the server could not be asked
}

// maxEvents is how many requests the log keeps.
const maxEvents = 100000

type eventLog struct {
	mu     sync.Mutex
	events []Event
	counts map[Kind]int
}

func (l *eventLog) begin(r *http.Request, kind Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[Kind]int{}
	}
	l.counts[kind]++
	if len(l.events) == maxEvents {
		return -1
	}
	l.events = append(l.events, Event{Method: r.Method, Path: r.URL.Path, Proto: r.Proto, Connection: flowOf(r.Context()).number, Kind: kind})
	return len(l.events) - 1
}

func (l *eventLog) set(i int, change func(*Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i >= 0 {
		change(&l.events[i])
	}
}

func (l *eventLog) answered(i, status int)  { l.set(i, func(e *Event) { e.Status = status }) }
func (l *eventLog) failed(i int, err error) { l.set(i, func(e *Event) { e.Err = err }) }

// Events returns the first 100,000 requests, in the order of their arrival.
func (p *Proxy) Events() []Event {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return slices.Clone(p.log.events)
}

// Count returns how many requests met a fault of this kind; KindNone counts those that
// met none.
func (p *Proxy) Count(kind Kind) int {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.log.counts[kind]
}

// Faults returns how many requests met any fault.
func (p *Proxy) Faults() int {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	n := 0
	for kind, count := range p.log.counts {
		if kind != KindNone {
			n += count
		}
	}
	return n
}

// Wants fails the test unless exactly n requests met a fault of this kind.
func (p *Proxy) Wants(t testing.TB, kind Kind, n int) {
	t.Helper()
	if got := p.Count(kind); got != n {
		t.Errorf("%d requests met the fault %q, want %d", got, kind, n)
	}
}
