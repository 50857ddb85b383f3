package azure

import (
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

const (
	// readHolds is how long a read of the caller is as good as one of ours
	// before a write on condition. Key Vault does not compare, so that there is
	// a time between the two in any case.
	readHolds = 2 * time.Second

	// maxRecent bounds each of the maps of recent.
	maxRecent = 10_000
)

// recent is what this process found under names. It saves calls: a driver that
// remembers nothing asks Key Vault.
type recent struct {
	mu    sync.Mutex
	ours  map[nebula.Name]bool
	reads map[nebula.Name]finding
}

// finding is what a caller read.
type finding struct {
	version nebula.Version // "" if there was none
	at      time.Time
}

// noteOurs remembers that a record of ours stands there. Only a deletion
// changes that, and then only if others write to our names.
func (r *recent) noteOurs(name nebula.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ours == nil || len(r.ours) >= maxRecent {
		r.ours = make(map[nebula.Name]bool)
	}
	r.ours[name] = true
}

func (r *recent) isOurs(name nebula.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ours[name]
}

func (r *recent) noteRead(name nebula.Name, v nebula.Version, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads == nil || len(r.reads) >= maxRecent {
		r.reads = make(map[nebula.Name]finding)
	}
	r.reads[name] = finding{version: v, at: now}
}

// takeRead returns what was read of a name a moment ago. It serves one write.
func (r *recent) takeRead(name nebula.Name, now time.Time) (v nebula.Version, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.reads[name]
	delete(r.reads, name)
	age := now.Sub(found.at)
	return found.version, ok && age >= 0 && age < readHolds
}

func (r *recent) forget(name nebula.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ours, name)
	delete(r.reads, name)
}
