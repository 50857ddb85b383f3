package memory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/nebula-credential/nebula"
)

// listener collects the names that changed, for one call of Notify.
type listener struct {
	wanted map[nebula.Name]bool
	wake   chan struct{} // holds one

	mu      sync.Mutex
	changed map[nebula.Name]bool
}

// tell is called for every change. The caller holds the lock of the backend.
func (b *Backend) tell(name nebula.Name) {
	for l := range b.listeners {
		if l.wanted[name] {
			l.note(name)
		}
	}
}

func (l *listener) note(names ...nebula.Name) {
	l.mu.Lock()
	for _, name := range names {
		l.changed[name] = true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *listener) take() []nebula.Name {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := slices.Collect(maps.Keys(l.changed))
	clear(l.changed)
	return names
}

// Notify implements [nebula.Notifier].
func (d *driver) Notify(ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
	l := &listener{wanted: make(map[nebula.Name]bool), changed: make(map[nebula.Name]bool), wake: make(chan struct{}, 1)}
	for _, name := range names {
		l.wanted[name] = true
	}
	d.mu.Lock()
	d.listeners[l] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.listeners, l)
		d.mu.Unlock()
	}()
	l.note(names...)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
			changed(l.take()...)
		}
	}
}
