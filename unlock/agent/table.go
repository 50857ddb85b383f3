package agent

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

const (
	maxKeys     = 64
	maxListSize = maxMessage - 1024 // bytes of a list, as it is sent
	perEntry    = 160               // bytes beside the address
)

// instant is a moment by both clocks. The monotonic one may stop while the
// machine sleeps, and the wall clock may be set.
type instant struct {
	running time.Duration // since the process began
	wall    time.Time
}

// clock returns a function that returns the time from now on.
func clock() func() instant {
	begun := time.Now()
	return func() instant {
		now := time.Now()
		return instant{now.Sub(begun), now.Round(0)}
	}
}

// since is the longer of the times by the two clocks.
func (i instant) since(before instant) time.Duration {
	return max(i.running-before.running, i.wall.Sub(before.wall))
}

// kept is a data key with its time to live.
type kept struct {
	secret [seal.KeySize]byte
	pinned bool
	added  instant
	ttl    time.Duration
}

// table has the keys by the addresses of their stores.
type table struct {
	mu   sync.Mutex
	now  func() instant
	ttl  time.Duration // the longest that a key is kept
	keys map[string]*kept
}

func newTable(ttl time.Duration, now func() instant) *table {
	return &table{now: now, ttl: ttl, keys: make(map[string]*kept)}
}

// get returns a copy of a key.
func (t *table) get(address string) (kept, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	k, found := t.keys[address]
	if !found {
		return kept{}, false
	}
	return *k, true
}

// add keeps a key for at most the time of the table, instead of one that is kept
// for that address. If there is no room, the oldest go.
func (t *table) add(address string, secret []byte, pinned bool, ttl time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	t.drop(address)
	k := &kept{pinned: pinned, added: t.now(), ttl: t.ttl}
	if ttl > 0 {
		k.ttl = min(ttl, t.ttl)
	}
	copy(k.secret[:], secret)
	for len(t.keys) > 0 && (len(t.keys) >= maxKeys || t.listSize()+entrySize(address) > maxListSize) {
		t.dropOldest()
	}
	t.keys[address] = k
}

// entrySize returns at least the bytes of an entry as it is sent.
func entrySize(address string) int {
	text, _ := json.Marshal(address) // a string always can be
	return len(text) + perEntry
}

func (t *table) listSize() (size int) {
	for address := range t.keys {
		size += entrySize(address)
	}
	return size
}

func (t *table) dropOldest() {
	oldest := ""
	for address, k := range t.keys {
		if oldest == "" || k.added.running < t.keys[oldest].added.running {
			oldest = address
		}
	}
	t.drop(oldest)
}

// drop forgets a key, if it is there.
func (t *table) drop(address string) {
	if k, found := t.keys[address]; found {
		clear(k.secret[:])
		delete(t.keys, address)
	}
}

// sweep forgets the keys whose time is over.
func (t *table) sweep() {
	now := t.now()
	for address, k := range t.keys {
		if now.since(k.added) >= k.ttl {
			t.drop(address)
		}
	}
}

// expire is sweep for a timer.
func (t *table) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
}

// lock forgets all keys and returns how many there were.
func (t *table) lock() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	n := len(t.keys)
	for address := range t.keys {
		t.drop(address)
	}
	return n
}

// list describes the keys, by ascending addresses.
func (t *table) list() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	now := t.now()
	entries := []Entry{}
	for address, k := range t.keys {
		entries = append(entries, Entry{Address: address, KeyID: keyID(k.secret), Pinned: k.pinned, Left: k.ttl - now.since(k.added)})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Address, b.Address) })
	return entries
}

func keyID(secret [seal.KeySize]byte) string {
	id := seal.NewKey(secret).ID()
	return hex.EncodeToString(id[:])
}
