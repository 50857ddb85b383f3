// Package remote is what the providers of networked backends have in common:
// their life, and the words for failures that are no backend's own.
package remote

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
)

// Life is where in its life a provider is. The zero value is a configured one.
type Life struct {
	// Every operation holds mu for reading, so that Close waits for them.
	mu    sync.RWMutex
	state atomic.Int32
}

// State returns where in its life the provider is.
func (l *Life) State() nebula.State { return nebula.State(l.state.Load()) }

// Connect calls connect, unless that succeeded before. If it fails, the state
// stays as it was.
func (l *Life) Connect(ctx context.Context, connect func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.State() {
	case nebula.StateConnected:
		return nil
	case nebula.StateClosed:
		return errNotReady(nebula.StateClosed)
	}
	err := ctx.Err()
	if err == nil {
		err = connect(ctx)
	}
	if err == nil {
		l.state.Store(int32(nebula.StateConnected))
	}
	return err
}

// Close waits for the operations under way and lets no other begin. Then it
// calls release, the first time that it is called, and says whether the
// provider was connected.
func (l *Life) Close(release func(connected bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.State()
	if was == nebula.StateClosed {
		return
	}
	l.state.Store(int32(nebula.StateClosed))
	release(was == nebula.StateConnected)
}

// Enter begins an operation. If it succeeds, Leave has to end it.
func (l *Life) Enter(ctx context.Context) error {
	l.mu.RLock()
	err := ctx.Err()
	if state := l.State(); state != nebula.StateConnected {
		err = errNotReady(state)
	}
	if err != nil {
		l.mu.RUnlock()
	}
	return err
}

// EnterFor is Enter, for an operation on a name. It refuses the zero Name, which
// is of no credential.
func (l *Life) EnterFor(ctx context.Context, name nebula.Name) error {
	if err := l.Enter(ctx); err != nil {
		return err
	}
	if name == (nebula.Name{}) {
		l.Leave()
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the name is of no credential"}
	}
	return nil
}

// EnterToRemove is EnterFor, for a deletion or a purge. It refuses the keyring.
func (l *Life) EnterToRemove(ctx context.Context, name nebula.Name) error {
	if err := l.EnterFor(ctx, name); err != nil {
		return err
	}
	if name.IsKeyring() {
		l.Leave()
		return &nebula.Error{Kind: nebula.ErrUsage,
			Message: "the keyring is not removed: without it no credential can be read"}
	}
	return nil
}

// Leave ends an operation.
func (l *Life) Leave() { l.mu.RUnlock() }
