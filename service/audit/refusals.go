package audit

import (
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// refusals count the requests without a valid token, by address. They are written
// once a minute, so a client that sends many neither fills the disk nor slows
// others.
type refusals struct {
	mu     sync.Mutex
	counts map[string]int
	since  time.Time   // of the counts
	timer  *time.Timer // that writes them; nil if there are none
	closed bool
}

const (
	refusedPeriod = time.Minute
	maxAddresses  = 1024
	others        = "others" // of the addresses beyond
)

// Refused counts a request without a valid token from an address. It ignores
// the port.
func (l *Log) Refused(address string) {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	if len(address) > maxText {
		address = address[:maxText]
	}
	r := &l.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.add(address, 1)
	if r.timer == nil {
		r.since = time.Now()
		r.timer = time.AfterFunc(refusedPeriod, func() { _ = l.writeRefusals() })
	}
}

func (r *refusals) add(address string, count int) {
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	if _, known := r.counts[address]; !known && len(r.counts) >= maxAddresses {
		address = others
	}
	r.counts[address] += count
}

// take returns the counts and begins anew.
func (r *refusals) take() (map[string]int, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := r.counts
	r.counts, r.timer = nil, nil
	return counts, r.since
}

// stop ends the counting.
func (r *refusals) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}

// writeRefusals writes the counts. It keeps counts that cannot be written for
// the next minute.
func (l *Log) writeRefusals() error {
	counts, since := l.refusals.take()
	for _, address := range slices.Sorted(maps.Keys(counts)) {
		if err := l.writeRefused(since, address, counts[address]); err != nil {
			l.keepRefused(counts, since)
			return err
		}
		delete(counts, address)
	}
	return nil
}

func (l *Log) writeRefused(since time.Time, address string, count int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.recover(); err != nil {
		return err
	}
	out, err := l.put(refused(time.Now(), since, address, count))
	if err == nil && l.options.Sync {
		out.users.Done() // the next line that is flushed takes it along
	}
	return err
}

func (l *Log) keepRefused(counts map[string]int, since time.Time) {
	r := &l.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	for address, count := range counts {
		r.add(address, count)
	}
	r.since = since
	if r.timer == nil {
		r.timer = time.AfterFunc(refusedPeriod, func() { _ = l.writeRefusals() })
	}
}
