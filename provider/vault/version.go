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
	// sightHolds is how long a version that was read is taken for one of the
	// secret that is there: a change is made of what was just read.
	sightHolds = 2 * time.Second
	// mostSights bounds the memory that they take.
	mostSights = 1024
)

// sights are the versions that were the current ones a moment ago. Whether one
// still is, Vault compares by its number; this spares the look whether the
// number is of the same secret.
type sights struct {
	mu   sync.Mutex
	last map[nebula.Name]sight
}

type sight struct {
	version nebula.Version
	at      time.Time
}

func (s *sights) note(name nebula.Name, v nebula.Version, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make(map[nebula.Name]sight)
	}
	if len(s.last) >= mostSights {
		clear(s.last)
	}
	s.last[name] = sight{v, now}
}

func (s *sights) forget(name nebula.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, name)
}

// has reports whether that version was the current one a moment ago.
func (s *sights) has(name nebula.Name, v nebula.Version, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[name]
	age := now.Sub(last.at)
	return ok && last.version == v && age >= 0 && age < sightHolds
}
