package local

import (
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider"
)

// records keeps records that are read again and again, sealed as they are. As long as
// the file has not changed, one lstat replaces opening, reading, closing and decoding
// it. It keeps what is read a second time: anyone who reads all of a store, to copy it
// for example, needs no memory for it, and drives nothing out.
type records struct {
	once *provider.Recent[nebula.Name, struct{}] // read, and not kept

	mu      sync.Mutex
	entries map[nebula.Name]kept
	bytes   int // of the records
}

// Limits of the kept records.
const (
	maxKept       = 4 << 20  // bytes
	maxKeptRecord = 64 << 10 // bytes
	maxOnce       = 4096     // names, more than there is room for records of 1 KiB
)

func newRecords() *records {
	return &records{once: provider.NewRecent[nebula.Name, struct{}](provider.SystemClock{}, maxOnce, 0)}
}

type kept struct {
	stat   atomicfile.Stat
	record nebula.Record
}

func (r *records) get(name nebula.Name) (kept, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.entries[name]
	return entry, ok
}

func (r *records) put(name nebula.Name, stat atomicfile.Stat, record nebula.Record) {
	size := len(record.Envelope.Bytes())
	if size > maxKeptRecord {
		return
	}
	if _, again := r.once.Take(name); !again {
		r.once.Note(name, struct{}{})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = make(map[nebula.Name]kept)
	}
	r.remove(name)
	for other := range r.entries { // any other makes room
		if r.bytes+size <= maxKept {
			break
		}
		r.remove(other)
	}
	r.entries[name] = kept{stat, record}
	r.bytes += size
}

func (r *records) remove(name nebula.Name) {
	if old, ok := r.entries[name]; ok {
		r.bytes -= len(old.record.Envelope.Bytes())
		delete(r.entries, name)
	}
}

// kept returns the record of a file that has not changed since it was read.
func (d *driver) kept(name nebula.Name) (nebula.Record, bool) {
	entry, ok := d.records.get(name)
	if !ok {
		return nebula.Record{}, false
	}
	b, err := d.bases.forReading(false)
	if err != nil {
		return nebula.Record{}, false
	}
	stat, err := b.Lstat(d.naming.file(name))
	return entry.record, err == nil && stat == entry.stat
}

// keeps reports whether a later change of a file would show in its Stat. Network file
// systems report the changes of others late unless a file is opened. On file systems
// that fold case, the name of a file may change and nothing else.
func keeps(b *base, stat atomicfile.Stat) bool {
	return b.folds.Load() == foldNo && !b.remote && stat.Settled(now())
}
