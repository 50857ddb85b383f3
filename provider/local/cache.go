package local

import (
	"crypto/sha256"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// cache keeps the metadata that filtered lists read, as long as the files do
// not change. Reading all files takes ten times as long as one lstat each.
type cache struct {
	mu      sync.Mutex
	entries map[nebula.ID]cached
}

// maxCached limits the memory to about 50 MiB, if each has a few tags.
const maxCached = 1 << 17

type cached struct {
	stat     atomicfile.Stat
	sum      [16]byte
	metadata *nebula.Metadata
}

func (c *cache) get(id nebula.ID, stat atomicfile.Stat) (cached, bool) {
	c.mu.Lock()
	entry, ok := c.entries[id]
	c.mu.Unlock()
	return entry, ok && entry.stat == stat
}

func (c *cache) put(id nebula.ID, entry cached) {
	if !entry.stat.Settled(now()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[nebula.ID]cached)
	}
	if len(c.entries) >= maxCached {
		// Remove any other entry. The oldest would be the wrong choice: lists
		// repeat, so it is the next to be needed.
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	// The id is part of a page's string, all of which would stay in memory.
	c.entries[nebula.ID(strings.Clone(string(id)))] = entry
}

// describe returns version and metadata of a record, from the cache or from its
// file.
func (d *driver) describe(b *base, id nebula.ID) (cached, error) {
	file := string(id) + d.naming.suffix
	stat, err := b.Lstat(file)
	if err != nil {
		return cached{}, err
	}
	if entry, ok := d.cache.get(id, stat); ok {
		return entry, nil
	}
	name, err := id.Name()
	if err != nil {
		return cached{}, err
	}
	data, stat, err := b.Read(file, maxRecord)
	if err != nil {
		return cached{}, err
	}
	envelope, err := nebula.ParseEnvelope(name, data)
	if err != nil {
		return cached{}, err
	}
	metadata := envelope.Metadata()
	sum := sha256.Sum256(data)
	entry := cached{stat: stat, sum: [16]byte(sum[:16]), metadata: &metadata}
	d.cache.put(id, entry)
	return entry, nil
}
