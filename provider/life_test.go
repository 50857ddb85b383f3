package provider_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// opening is a driver that opens and closes as the fields say.
type opening struct {
	driver
	open        func(context.Context) error
	closed      atomic.Int32
	interrupted atomic.Int32
	whileClosed func()
}

func (o *opening) Open(ctx context.Context) error { return call(ctx, o.open) }
func (o *opening) Interrupt()                     { o.interrupted.Add(1) }
func (o *opening) Close() error {
	o.closed.Add(1)
	if o.whileClosed != nil {
		o.whileClosed()
	}
	return nil
}

func alive(t *testing.T, d provider.Driver) (nebula.Provider, nebula.Connector) {
	t.Helper()
	p := provider.New(d, provider.Policy{}, provider.NewOptions())
	c, ok := nebula.As[nebula.Connector](p)
	if !ok {
		t.Fatal("the provider is not a Connector")
	}
	return p, c
}

func TestLifeBeforeAndAfter(t *testing.T) {
	refused := errors.New("refused")
	failure, opened := refused, 0
	d := &opening{open: func(context.Context) error { opened++; return failure }}
	p, c := alive(t, d)
	n := name(t, "x")
	if _, err := p.Exists(t.Context(), n); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("not connected: %v", err)
	}
	if err := c.Connect(t.Context()); !errors.Is(err, refused) || c.State() != nebula.StateConfigured {
		t.Errorf("connect: %v, then %v", err, c.State())
	}
	failure = nil
	for range 2 {
		if err := c.Connect(t.Context()); err != nil || c.State() != nebula.StateConnected {
			t.Fatalf("%v, then %v", err, c.State())
		}
	}
	if opened != 2 {
		t.Errorf("opened %d times", opened)
	}
	for range 2 {
		if err := c.Close(); err != nil || c.State() != nebula.StateClosed {
			t.Errorf("%v, then %v", err, c.State())
		}
	}
	if d.closed.Load() != 1 || d.interrupted.Load() != 1 {
		t.Errorf("closed %d times, interrupted %d times", d.closed.Load(), d.interrupted.Load())
	}
	if err := c.Connect(t.Context()); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("connect after close: %v", err)
	}
	if _, err := p.Exists(t.Context(), n); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("after close: %v", err)
	}
}

// A driver is closed even if it was never opened: it may hold something.
func TestCloseWithoutConnect(t *testing.T) {
	d := &opening{}
	_, c := alive(t, d)
	if err := c.Close(); err != nil || d.closed.Load() != 1 {
		t.Errorf("%v, closed %d times", err, d.closed.Load())
	}
}

// Close waits for calls under way, and no new call begins in that time.
func TestCloseWaits(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	d := &opening{}
	d.retrieve = func(context.Context) error { close(inside); <-leave; return nil }
	p, c := alive(t, d)
	connect(t, p)
	n := name(t, "x")
	ended := make(chan error, 1)
	go func() { _, err := p.Retrieve(t.Context(), n); ended <- err }()
	<-inside
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	for c.State() != nebula.StateClosed {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.Exists(t.Context(), n); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("while Close waits: %v, want at once that the provider is closed", err)
	}
	select {
	case <-closed:
		t.Error("Close returned during an operation")
	case <-time.After(20 * time.Millisecond):
	}
	if d.closed.Load() != 0 {
		t.Error("the driver was closed during an operation")
	}
	close(leave)
	if err := errors.Join(<-ended, <-closed); err != nil {
		t.Error(err)
	}
	if d.closed.Load() != 1 {
		t.Error("the driver was not closed")
	}
}

// An operation that waits for Connect ends with its own context, and goes on
// when Connect has ended.
func TestOperationsWaitForConnect(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	d := &opening{open: func(context.Context) error { close(inside); <-leave; return nil }}
	p, c := alive(t, d)
	connected := make(chan error, 1)
	go func() { connected <- c.Connect(t.Context()) }()
	<-inside
	n := name(t, "x")
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Exists(short, n); !errors.Is(err, nebula.ErrTimeout) {
		t.Errorf("while connecting: %v, want its own deadline", err)
	}
	if err := c.Connect(short); !errors.Is(err, nebula.ErrTimeout) {
		t.Errorf("a second Connect: %v, want its own deadline", err)
	}
	waits := make(chan error, 1)
	go func() { _, err := p.Exists(t.Context(), n); waits <- err }()
	close(leave)
	if err := errors.Join(<-connected, <-waits); err != nil {
		t.Error(err)
	}
}

// Close ends a Connect that is under way.
func TestCloseEndsConnect(t *testing.T) {
	inside := make(chan struct{})
	d := &opening{open: func(ctx context.Context) error { close(inside); <-ctx.Done(); return ctx.Err() }}
	_, c := alive(t, d)
	connected := make(chan error, 1)
	go func() { connected <- c.Connect(t.Context()) }()
	<-inside
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-connected; nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("connect: %v, want that the provider was closed", err)
	}
	if d.closed.Load() != 1 {
		t.Errorf("closed %d times", d.closed.Load())
	}
}

// A second Close returns when the first one has ended.
func TestSecondCloseWaits(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	d := &opening{whileClosed: func() { close(inside); <-leave }}
	_, c := alive(t, d)
	closed := make(chan struct{})
	go func() { _ = c.Close(); closed <- struct{}{} }()
	<-inside
	go func() { _ = c.Close(); closed <- struct{}{} }()
	select {
	case <-closed:
		t.Error("a Close returned while the driver is being closed")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	<-closed
	<-closed
}

// A refused operation holds nothing that Close would wait for.
func TestRefusedOperationsHoldNothing(t *testing.T) {
	p, c := alive(t, &opening{})
	connect(t, p)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, cancelled := p.Exists(gone, name(t, "x"))
	_, nameless := p.Exists(t.Context(), nebula.Name{})
	_, keyring := p.Delete(t.Context(), nebula.KeyringName(), nebula.Precondition{})
	if nebula.KindOf(cancelled) != nebula.ErrInterrupted || nebula.KindOf(nameless) != nebula.ErrUsage || nebula.KindOf(keyring) != nebula.ErrUsage {
		t.Errorf("%v, %v, %v", cancelled, nameless, keyring)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
