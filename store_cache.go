package nebula

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// CacheOptions let [Store.Get] and [Store.GetMany] return what was read before.
// The cache keeps records, sealed as they were read. Each time it opens a record
// anew, and checks it against scope, keyring and rollback guard. Nothing else uses
// the cache: no writes and their conditions, no lists, not [Store.Exists] and not
// [Store.Watch]. If this process writes or deletes a credential, the cache drops
// it. It never remembers that a credential does not exist, nor the keyring. The
// zero value keeps nothing.
type CacheOptions struct {
	// MaxAge is how long a record is returned without asking the backend, counted
	// from before it was read. It is at most 60 s. 0 asks each time.
	MaxAge time.Duration

	// LastKnown is how long, counted in the same way, a record is returned while
	// the backend is unavailable (ErrUnavailable, ErrTimeout). It is at most 30
	// days. 0 returns the error. [Credential.LastKnown] marks such a record.
	LastKnown time.Duration

	// Entries is the number of records that are kept, in memory and on disk. It
	// is at most 100,000, and 0 means 1,000. Together they take at most 32 MiB.
	// Those that were not used for the longest time give way.
	Entries int

	// Directory keeps the records that LastKnown may return, and the keyring, for
	// a process that starts while the backend is unavailable. Both are sealed. The
	// keyring is used only if Pins or TrustedKey know its data key. "" keeps
	// nothing on disk. A store that ends with its process keeps nothing on disk
	// either.
	Directory string
}

const (
	maxCacheAge       = 60 * time.Second
	maxLastKnown      = 30 * 24 * time.Hour
	defaultCacheSize  = 1000
	maxCacheEntries   = 100_000
	maxCacheBytes     = 32 << 20
	cacheEntryBytes   = 1 << 10 // of an entry, beside its record
	askBackendGap     = time.Second
	askBackendTimeout = 30 * time.Second
	maxCacheClockSkew = time.Minute
)

// CacheStats counts what the cache has done since the store was opened.
type CacheStats struct {
	Hits      uint64 // credentials returned without asking the backend, which was not known to be unavailable
	Misses    uint64 // reads of the backend
	LastKnown uint64 // credentials returned because the backend was unavailable
	Refused   uint64 // copies that could not be returned then: damaged, too old, under another key
	Entries   int    // records in memory now
}

// CacheStats returns the counts; they are 0 without a cache.
func (s *Store) CacheStats() CacheStats {
	c := s.cache
	if c == nil {
		return CacheStats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), LastKnown: c.lastKnown.Load(), Refused: c.refused.Load(), Entries: len(c.byName)}
}

// Refresh makes the next Get of a credential ask the backend. Call it after a
// login that failed with the value of the cache, for example.
func (s *Store) Refresh(ids ...ID) {
	for _, id := range ids {
		if name, err := id.Name(); err == nil && s.cache != nil {
			s.cache.doubt(name)
		}
	}
}

// validate says what is wrong with the options, or returns "".
func (o CacheOptions) validate(trackAccess bool) string {
	switch {
	case o == CacheOptions{}:
	case o.MaxAge < 0 || o.MaxAge > maxCacheAge:
		return fmt.Sprintf("the age of the cache is %v, 0 to %v are allowed", o.MaxAge, maxCacheAge)
	case o.LastKnown < 0 || o.LastKnown > maxLastKnown:
		return fmt.Sprintf("last known credentials are to be returned for %v, 0 to %v are allowed", o.LastKnown, maxLastKnown)
	case o.Entries < 0 || o.Entries > maxCacheEntries:
		return fmt.Sprintf("the cache is to have %d entries, 1 to %d are allowed", o.Entries, maxCacheEntries)
	case o.Directory != "" && o.LastKnown == 0:
		return "the cache has a directory, but nothing on disk would be used, since last known credentials are not to be returned"
	case trackAccess && (o.MaxAge > 0 || o.LastKnown > 0):
		return "a cache and the tracking of access exclude each other: every read is then a write"
	}
	return ""
}

// cache keeps records that were read.
type cache struct {
	options CacheOptions
	files   *cacheFiles             // nil: nothing is kept on disk
	ring    atomic.Pointer[keyring] // from disk; it opens what is kept, and nothing else
	written atomic.Pointer[keyring] // of which the copy on disk is as new

	mu     sync.Mutex
	byName map[Name]*list.Element // of *kept
	order  list.List              // the one used last first
	size   int                    // bytes
	seed   maphash.Seed
	turns  [256]uint64 // by hash of the name: counts writes of this process
	outage outage

	hits, misses, lastKnown, refused atomic.Uint64

	ending context.Context // ends when the store is closed
	end    context.CancelFunc
	asking sync.WaitGroup
}

// kept is a record that was read and opened.
type kept struct {
	name    Name
	record  Record
	at      time.Time // before it was read
	doubted bool      // it may have been replaced: it is what was last known, and no more
	written time.Time // the time of reading that its copy on disk has; zero if there is none
}

func newCache(o CacheOptions) *cache {
	if o.MaxAge == 0 && o.LastKnown == 0 {
		return nil
	}
	o.Entries = cmp.Or(o.Entries, defaultCacheSize)
	c := &cache{options: o, byName: make(map[Name]*list.Element), seed: maphash.MakeSeed()}
	c.ending, c.end = context.WithCancel(context.Background())
	return c
}

// close ends what is under way and waits for it.
func (c *cache) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.asking.Wait()
}

// reading is a read of the backend that has begun.
type reading struct {
	name Name
	at   time.Time
	turn uint64
}

// beginReads returns the readings of names, nil without a cache.
func (s *Store) beginReads(names ...Name) []reading {
	c := s.cache
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := s.options.Now()
	readings := make([]reading, len(names))
	for i, name := range names {
		readings[i] = reading{name, at, *c.turn(name)}
	}
	return readings
}

// turn is called with mu held.
func (c *cache) turn(name Name) *uint64 {
	return &c.turns[maphash.String(c.seed, name.s)%uint64(len(c.turns))]
}

// find returns the record of a credential that is kept in memory.
func (c *cache) find(name Name) (kept, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byName[name]
	if !ok {
		return kept{}, false
	}
	c.order.MoveToFront(element)
	return *element.Value.(*kept), true
}

// put keeps a record that was read, unless this process has written the credential
// since the read began, and reports whether it did.
func (c *cache) put(r reading, k kept) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.turn != *c.turn(r.name) {
		return false
	}
	if element, ok := c.byName[k.name]; ok && element.Value.(*kept).at.After(k.at) {
		return false // a later read came first
	}
	c.remove(k.name)
	c.byName[k.name] = c.order.PushFront(&k)
	c.size += k.bytes()
	for len(c.byName) > c.options.Entries || c.size > maxCacheBytes {
		c.remove(c.order.Back().Value.(*kept).name)
	}
	return true
}

// bytes is the size of the record in memory: its text, and its parts again.
func (k *kept) bytes() int { return cacheEntryBytes + 2*len(k.record.Envelope.raw) }

// remove is called with mu held.
func (c *cache) remove(name Name) {
	if element, ok := c.byName[name]; ok {
		c.size -= element.Value.(*kept).bytes()
		c.order.Remove(element)
		delete(c.byName, name)
	}
}

// confirm notes that the backend still has the version that is kept.
func (c *cache) confirm(r reading, v Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byName[r.name]; ok && r.turn == *c.turn(r.name) {
		if k := element.Value.(*kept); k.record.Version == v && r.at.After(k.at) {
			k.at = r.at
		}
	}
}

// drop forgets a credential, and also the results of reads that are under way.
func (c *cache) drop(name Name) {
	c.mu.Lock()
	*c.turn(name)++
	c.remove(name)
	c.mu.Unlock()
}

// doubt marks a kept credential as no more than last known.
func (c *cache) doubt(name Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.turn(name)++
	if element, ok := c.byName[name]; ok {
		element.Value.(*kept).doubted = true
	}
}

// wrote is called after each write or deletion that this process has tried. If it
// failed, and not because another writer came first, the kept record stays as the
// last known one.
func (s *Store) wrote(name Name, err error) {
	if s.cache == nil {
		return
	}
	switch KindOf(err) {
	case "", ErrConflict, ErrAlreadyExists, ErrNotFound:
		s.dropKept(name)
	default:
		s.cache.doubt(name)
	}
}

// getCached is Get with a cache.
func (s *Store) getCached(ctx context.Context, name Name) (Credential, error) {
	scope, err := s.requestedScope(ctx)
	if err != nil {
		return Credential{}, err
	}
	if c, ok := s.cached(ctx, name, scope); ok {
		return c, nil
	}
	r := s.beginReads(name)[0]
	c, e, err := s.get(ctx, name)
	return s.readOrKnown(ctx, r, scope, c, e, err)
}

// cached returns a credential without asking the backend, if it was read a moment
// ago, or if the backend is known to be unavailable.
func (s *Store) cached(ctx context.Context, name Name, scope string) (Credential, bool) {
	k, ok := s.cache.find(name)
	if ring := s.ring.Load(); ok && ring != nil && !k.doubted && s.since(k.at) < s.cache.options.MaxAge {
		if c, err := s.openKeptRecord(ctx, k, ring.keyring, scope); err == nil {
			s.cache.hits.Add(1)
			return c, true
		}
	}
	if s.cache.isDown() {
		if c, err := s.lastKnown(ctx, name, scope); err == nil {
			s.askBackend(ctx, name)
			return c, true
		}
	}
	s.cache.misses.Add(1)
	return Credential{}, false
}

// openKeptRecord opens a kept record with the current key of a keyring. Only the
// backend can say whether a record under another key is still in use.
func (s *Store) openKeptRecord(ctx context.Context, k kept, ring *keyring, scope string) (Credential, error) {
	e := k.record.Envelope
	if err := inScopeOnly(scope)(k.record); err != nil {
		return Credential{}, err
	}
	ring, err := s.guardKept(ctx, k, ring)
	if err != nil {
		return Credential{}, err
	}
	if e.KeyID() != KeyID(ring.current.ID()) {
		return Credential{}, &Error{Kind: ErrCorrupted, Err: errRetired, Message: "it is sealed under another data key than the current one"}
	}
	plaintext, err := e.open(ring.current, k.name)
	if err != nil {
		return Credential{}, damagedCopy(err)
	}
	return Credential{ID: k.name.ID(), Secret: takeSecret(plaintext), Version: k.record.Version, Metadata: e.metadata.clone()}, nil
}

// guardKept compares a kept record with its mark, which it does not move, and
// returns a keyring that is as new as the mark.
func (s *Store) guardKept(ctx context.Context, k kept, ring *keyring) (*keyring, error) {
	if s.options.RollbackGuard == nil {
		return ring, nil
	}
	seen, ring, err := s.loadMark(ctx, k.name, ring)
	switch {
	case err != nil || !seen.found:
		return ring, err
	case !seen.DeletedAt.IsZero():
		return ring, &Error{Kind: ErrRolledBack, Message: "the credential was deleted since"}
	case !ring.allows(seen.Mark, k.record.Envelope):
		return ring, &Error{Kind: ErrRolledBack, Message: messageOf(olderThanMark(k.record.Envelope, seen.Mark))}
	}
	return ring, nil
}

// copyMAC authenticates the line that is kept on disk with a record.
func (s *Store) copyMAC(k kept, key *seal.Key) [32]byte {
	return key.MAC("nebula/2/cache\x00", k.message(s.address()))
}

func damagedCopy(cause error) error {
	return &Error{Kind: ErrCorrupted, Err: cause, Message: "it was damaged, edited, or swapped with another one"}
}
