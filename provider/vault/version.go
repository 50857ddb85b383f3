package vault

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// formatVersion returns Vault's number of a version, and when it was created:
// after a purge Vault counts from 1 again, and time tells the two apart.
func formatVersion(number int64, created string) nebula.Version {
	text := strconv.FormatInt(number, 10)
	at, err := time.Parse(time.RFC3339Nano, created)
	if err != nil || at.UnixNano() <= 0 {
		return nebula.Version(text)
	}
	return nebula.Version(text + "-" + strconv.FormatInt(at.UnixNano(), 36))
}

// parseVersion returns Vault's number of a version, and false for what is none.
func parseVersion(v nebula.Version) (number int64, ok bool) {
	text, created, timed := strings.Cut(string(v), "-")
	if timed {
		nanoseconds, err := strconv.ParseInt(created, 36, 64)
		if err != nil || strconv.FormatInt(nanoseconds, 36) != created {
			return 0, false
		}
	}
	return parseNumber(text)
}

func parseNumber(text string) (number int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

const (
	// recentFor is how long a version that was read is taken for one of the
	// secret that is there: a change is made of what was just read.
	recentFor = 2 * time.Second
	// maxRecent bounds the memory that they take.
	maxRecent = 1024
)

// recentVersions are the versions that were the current ones a moment ago. Vault
// compares by number whether one still is; this spares the look whether the
// number is of the same secret.
type recentVersions struct {
	mu   sync.Mutex
	last map[nebula.Name]recentVersion
}

type recentVersion struct {
	version nebula.Version
	at      time.Time
}

func (r *recentVersions) note(name nebula.Name, v nebula.Version, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[nebula.Name]recentVersion)
	}
	if len(r.last) >= maxRecent {
		clear(r.last)
	}
	r.last[name] = recentVersion{v, now}
}

func (r *recentVersions) forget(name nebula.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, name)
}

// has reports whether that version was the current one a moment ago.
func (r *recentVersions) has(name nebula.Name, v nebula.Version, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.last[name]
	age := now.Sub(last.at)
	return ok && last.version == v && age >= 0 && age < recentFor
}
