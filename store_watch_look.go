package nebula

import (
	"context"
	"time"
)

// look reads credentials and yields those that have changed.
func (w *Watcher) look(ctx context.Context, names []Name, yield func(Change) bool) (goOn bool) {
	begun := time.Now()
	w.mu.Lock()
	for _, name := range names {
		w.last[name] = begun
	}
	w.mu.Unlock()
	scope, refused := w.store.scope(ctx)
	reached := true
	readings := w.store.beginReads(names...)
	for i, read := range w.store.retrieveAll(ctx, names) {
		if ctx.Err() != nil {
			return false
		}
		if refused != nil {
			read.Err = refused
		}
		var r *reading
		if readings != nil && refused == nil {
			r = &readings[i]
		}
		c, reachedThis := w.compare(ctx, r, names[i], read, scope)
		reached = reached && reachedThis
		if c == nil {
			continue
		}
		goOn := yield(*c)
		c.Credential.Secret.Wipe()
		if !goOn {
			return false
		}
	}
	if reached && len(names) == len(w.names) {
		w.success.Store(begun.UnixNano())
	}
	return true
}

// compare returns the change, or nil if there is none, and whether the backend
// was reached.
func (w *Watcher) compare(ctx context.Context, r *reading, name Name, read BatchResult, scope string) (c *Change, reached bool) {
	was := w.states[name]
	if read.Err == nil && was.known && was.kind == "" && read.Record.Version == was.version {
		if r != nil {
			w.store.cache.confirm(*r, was.version)
		}
		return nil, true
	}
	opened := Credential{ID: name.ID()}
	record, err := read.Record, read.Err
	if err == nil {
		opened, record, err = w.store.openNewest(ctx, name, record, &prefetch{}, inScopeOnly(scope))
	}
	if r != nil {
		w.store.noteRead(ctx, *r, record.Version, record.Envelope, err)
	}
	if read.Err != nil && KindOf(err) == ErrNotFound {
		err = w.store.explainAbsence(ctx, err)
	}
	if isPassing(err) {
		if was.known {
			w.store.options.Logger.Debug("a watched credential could not be read", "id", name.String(), "error", err)
			return nil, false
		}
		w.states[name] = watchState{known: true, kind: KindOf(err)}
		return &Change{ID: name.ID(), Err: w.store.locate(err, "watch", name.ID())}, false
	}
	is := watchState{version: record.Version, modified: opened.Metadata.LastModified, kind: KindOf(err), known: true}
	w.states[name] = is
	switch {
	case err != nil && was.known && was.kind == is.kind && was.version == is.version:
		return nil, true
	case err != nil:
		return &Change{ID: name.ID(), Err: w.store.locate(err, "watch", name.ID())}, true
	case was.known && was.kind == "" && was.modified.Equal(is.modified):
		opened.Secret.Wipe() // sealed anew, or read
		return nil, true
	}
	return &Change{ID: name.ID(), Credential: opened}, true
}

// isPassing reports failures that say nothing about the credential.
func isPassing(err error) bool {
	switch KindOf(err) {
	case ErrUnavailable, ErrTimeout, ErrInterrupted, ErrClosed:
		return true
	}
	return false
}
