package provider

import (
	"sync"
	"time"
)

// Recent remembers, by key, a bounded number of things that a driver saw or did
// a moment ago, to save calls. A driver that finds nothing there asks the
// backend. Recent is safe for concurrent use.
type Recent[K comparable, V any] struct {
	clock  Clock
	max    int
	maxAge time.Duration

	mu         sync.Mutex
	young, old map[K]noted[V] // no key is in both
}

type noted[V any] struct {
	value V
	at    time.Time
}

// NewRecent returns an empty memory of at most max values; max is at least 2. A
// value older than maxAge is forgotten; maxAge 0 is no limit. A full memory
// forgets its older half.
func NewRecent[K comparable, V any](clock Clock, max int, maxAge time.Duration) *Recent[K, V] {
	return &Recent[K, V]{clock: clock, max: max, maxAge: maxAge, young: make(map[K]noted[V])}
}

// Note remembers a value and forgets the earlier one of the key.
func (r *Recent[K, V]) Note(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
	if len(r.young) >= r.max/2 {
		r.young, r.old = make(map[K]noted[V]), r.young
	}
	r.young[key] = noted[V]{value, r.clock.Now()}
}

// Get returns the value of a key, or false if there is none.
func (r *Recent[K, V]) Get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(key)
}

// Take is Get, and forgets the value, so that it is used once.
func (r *Recent[K, V]) Take(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.remove(key)
	return r.find(key)
}

// Forget forgets the value of a key.
func (r *Recent[K, V]) Forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
}

// find is Get, for a caller that holds mu.
func (r *Recent[K, V]) find(key K) (V, bool) {
	n, ok := r.young[key]
	if !ok {
		n, ok = r.old[key]
	}
	if age := r.clock.Now().Sub(n.at); ok && r.maxAge > 0 && (age < 0 || age >= r.maxAge) {
		r.remove(key)
		ok = false
	}
	if !ok {
		var none V
		return none, false
	}
	return n.value, true
}

// remove is Forget, for a caller that holds mu.
func (r *Recent[K, V]) remove(key K) {
	delete(r.young, key)
	delete(r.old, key)
}
