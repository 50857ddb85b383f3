package provider

import (
	"sync"
	"time"
)

// Recent is a bounded memory of what a driver saw or did, by key. It spares
// calls: a driver that finds nothing there asks the backend. It is safe for
// several goroutines.
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

// NewRecent returns an empty memory of at most max values, at least two. A value
// older than maxAge is forgotten; 0 is for no limit of age. If the memory is
// full, the older half of it goes.
func NewRecent[K comparable, V any](clock Clock, max int, maxAge time.Duration) *Recent[K, V] {
	return &Recent[K, V]{clock: clock, max: max, maxAge: maxAge, young: make(map[K]noted[V])}
}

// Note remembers a value in the place of the key's last one.
func (r *Recent[K, V]) Note(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
	if len(r.young) >= r.max/2 {
		r.young, r.old = make(map[K]noted[V]), r.young
	}
	r.young[key] = noted[V]{value, r.clock.Now()}
}

// Get returns the value of a key, and false if there is none.
func (r *Recent[K, V]) Get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(key)
}

// Take is Get, and forgets the value: it serves one use.
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

// find is called with mu held.
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

// remove is called with mu held.
func (r *Recent[K, V]) remove(key K) {
	delete(r.young, key)
	delete(r.old, key)
}
