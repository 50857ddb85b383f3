package service

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// Limits of the lists that are kept for clients that ask for more pages.
const (
	keepLists   = 10 * time.Second
	keepEntries = 100_000 // of all lists together
)

// listings keeps the result of a list for clients that ask for its next page, since a
// backend has no page "after this id". A first page is always listed anew.
type listings struct {
	now  func() time.Time
	room int // entries of all lists together

	mu    sync.Mutex
	kept  map[string]*listed
	total int // entries
}

type listed struct {
	entries []nebula.Entry // by id; never changed
	at      time.Time
}

func newListings(now func() time.Time) *listings {
	return &listings{now: now, room: keepEntries, kept: make(map[string]*listed)}
}

// get returns the entries that match, by id: all of them, or, if they have no room,
// those of the page and one more.
func (l *listings) get(c *call, store *nebula.Store, a asked) ([]nebula.Entry, error) {
	key := keyOf(c.grant.Scope, a.filter)
	if a.paged {
		if entries, ok := l.find(key); ok {
			return entries, nil
		}
	}
	var entries []nebula.Entry
	began, whole := l.now(), true
	for e, err := range store.List(c.ctx, nebula.ListOptions{Filter: a.filter}) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
		if len(entries) > max(l.room, 2*maxItems) {
			entries, whole = next(entries, a), false
		}
	}
	if !whole {
		return next(entries, a), nil
	}
	sortByID(entries)
	if len(entries) > a.limit {
		l.keep(key, entries, began)
	}
	return entries, nil
}

// next returns the entries of a page, and one more.
func next(entries []nebula.Entry, a asked) []nebula.Entry {
	entries = slices.DeleteFunc(entries, func(e nebula.Entry) bool { return e.ID <= a.after })
	sortByID(entries)
	n := min(len(entries), a.limit+1)
	clear(entries[n:])
	return entries[:n]
}

func sortByID(entries []nebula.Entry) {
	slices.SortFunc(entries, func(a, b nebula.Entry) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

// keyOf tells lists apart.
func keyOf(scope string, f nebula.Filter) string {
	parts := []string{scope, f.Prefix}
	for _, k := range sortedKeys(f.Tags) {
		parts = append(parts, k, f.Tags[k])
	}
	return strings.Join(parts, "\x00")
}

func (l *listings) find(key string) ([]nebula.Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.kept[key]
	if !ok || l.now().Sub(k.at) >= keepLists {
		return nil, false
	}
	return k.entries, true
}

// keep keeps a list, if there is room, and drops those that are too old.
func (l *listings) keep(key string, entries []nebula.Entry, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, old := range l.kept {
		if k == key || l.now().Sub(old.at) >= keepLists {
			l.total -= len(old.entries)
			delete(l.kept, k)
		}
	}
	if l.total+len(entries) <= l.room {
		l.kept[key] = &listed{entries, began}
		l.total += len(entries)
	}
}

func (l *listings) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.kept)
	l.total = 0
}
