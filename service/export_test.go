package service

import (
	"bytes"
	"sync"
)

// Patterns are the paths of all routes, as in the contract.
func Patterns() []string {
	var all []string
	for _, r := range newRoutes().all {
		all = append(all, r.pattern)
	}
	return all
}

// KeepEntries sets how many entries of lists are kept.
func KeepEntries(s *Service, n int) { s.lists.room = n }

// Log keeps what several requests log.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Take returns what was logged since the last call.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}
