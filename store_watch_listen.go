package nebula

import (
	"context"
	"sync/atomic"
)

// listener runs the backend's own notification of changes, if it has one.
type listener struct {
	watcher *Watcher
	done    chan struct{} // of the run under way; nil before the first
	hears   atomic.Bool

	heard    bool // in a run that ended; these two are of the run, until done
	failures int  // runs that ended since then
}

// start begins to listen, unless that is under way, or the backend cannot
// report changes.
func (l *listener) start(ctx context.Context) {
	notifier, ok := As[Notifier](l.watcher.store.provider)
	if !ok || len(l.watcher.names) == 0 || l.done != nil && !l.stopped() {
		return
	}
	done := make(chan struct{})
	l.done = done
	go func() {
		l.listen(ctx, notifier)
		close(done)
		l.watcher.ask(nil, 0) // it need not wait for the next look
	}()
}

func (l *listener) listen(ctx context.Context, notifier Notifier) {
	heard := false
	err := notifier.Notify(ctx, l.watcher.names, func(names ...Name) {
		heard = true
		l.hears.Store(true)
		if len(names) > 0 {
			l.watcher.ask(names, 0)
		}
	})
	l.hears.Store(false)
	if l.failures++; heard {
		l.heard, l.failures = true, 0
	}
	if ctx.Err() == nil {
		l.watcher.store.options.Logger.Debug("the backend does not report changes, so the watch looks for them at intervals", "error", err)
	}
}

// stopped reports whether it began to listen and no longer does.
func (l *listener) stopped() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// wait returns when nothing runs any more. The context has ended.
func (l *listener) wait() {
	if l.done != nil {
		<-l.done
	}
}
