package provider

import (
	"context"
	"sync"

	"github.com/nebula-credential/nebula"
)

// life is the state of a provider: configured, connected or closed. An operation
// that waits for Connect or Close returns when its own context ends. The zero
// value is configured.
type life struct {
	mu     sync.Mutex
	state  nebula.State
	active int           // operations under way
	idle   chan struct{} // non-nil while Close waits; closed when active is 0

	connecting chan struct{}      // non-nil while Connect is under way; closed at its end
	abort      context.CancelFunc // cancels that Connect

	closing bool          // no operation may begin any more
	closed  chan struct{} // non-nil from the first Close on; closed at its end
}

// State implements [nebula.Connector].
func (l *life) State() nebula.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// enter begins an operation. If it succeeds, the caller must call leave.
func (l *life) enter(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.awaitConnect(ctx); err != nil {
		return err
	}
	if l.closing || l.state != nebula.StateConnected {
		return l.notReady()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.active++
	return nil
}

// leave ends an operation.
func (l *life) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active--; l.active == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// awaitConnect returns when no Connect is under way. The caller holds mu;
// awaitConnect releases it while it waits.
func (l *life) awaitConnect(ctx context.Context) error {
	for l.connecting != nil {
		ended := l.connecting
		l.mu.Unlock()
		var err error
		select {
		case <-ended:
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// connect calls open unless an earlier call succeeded. If open fails, the state
// does not change.
func (l *life) connect(ctx context.Context, open func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.awaitConnect(ctx); err != nil {
		return err
	}
	switch {
	case l.closing:
		return l.notReady()
	case l.state == nebula.StateConnected:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	ended := make(chan struct{})
	ctx, l.abort = context.WithCancel(ctx)
	defer l.abort()
	l.connecting = ended
	l.mu.Unlock()
	err := open(ctx)
	l.mu.Lock()
	l.connecting = nil
	close(ended)
	if l.closing {
		return l.notReady()
	}
	if err == nil {
		l.state = nebula.StateConnected
	}
	return err
}

// close refuses new operations, calls interrupt, waits for the operations under
// way and then calls release. Later calls of close wait for the first.
func (l *life) close(interrupt func(), release func() error) error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.closed
		return nil
	}
	l.closing, l.state, l.closed = true, nebula.StateClosed, make(chan struct{})
	defer close(l.closed)
	if l.connecting != nil {
		l.abort()
		// Only the end of the opening may end this wait: release must not run
		// at the same time.
		_ = l.awaitConnect(context.Background())
	}
	var idle chan struct{}
	if l.active > 0 {
		idle = make(chan struct{})
		l.idle = idle
	}
	l.mu.Unlock()
	interrupt()
	if idle != nil {
		<-idle
	}
	return release()
}

func (l *life) notReady() error {
	if l.closing {
		return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is closed"}
	}
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is not connected", Hint: "call Connect first"}
}
