package nebula

import (
	"context"
	"sync/atomic"
)

// lateConnect connects a provider later, when the backend is available.
type lateConnect struct {
	pending atomic.Bool
	turn    chan struct{} // held while it is connected: 1 of room
}

// connect connects the provider. If the backend is unavailable and there may be
// copies on disk, it leaves that for later.
func (s *Store) connect(ctx context.Context) error {
	c, ok := As[Connector](s.provider)
	if !ok {
		return nil
	}
	err := c.Connect(ctx)
	if isOutage(err) && s.options.Cache.Directory != "" {
		s.late.turn = make(chan struct{}, 1)
		s.late.pending.Store(true)
		return nil
	}
	if err == nil {
		s.description = describeProvider(s.provider) // the address may be known only now
	}
	return err
}

// connectLate connects a provider that could not be connected before.
func (s *Store) connectLate(ctx context.Context) error {
	if !s.late.pending.Load() {
		return nil
	}
	select {
	case s.late.turn <- struct{}{}:
		defer func() { <-s.late.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !s.late.pending.Load() {
		return nil
	}
	c, _ := As[Connector](s.provider)
	if err := c.Connect(ctx); err != nil {
		return err
	}
	// Pins and copies of the store are kept under its address.
	if describeProvider(s.provider) != s.description {
		return &Error{Kind: ErrUnavailable, Message: "the backend was unavailable when the store was opened, and what it is called is known only now",
			Hint: "open the store again"}
	}
	s.late.pending.Store(false)
	return nil
}
