package aws_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// gate holds calls of one operation back until it is opened.
type gate struct {
	http.RoundTripper
	operation string
	armed     atomic.Bool
	open      chan struct{}
	gaveUp    atomic.Bool // a call ended before the gate was opened
}

func newGate(operation string) *gate {
	return &gate{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: operation, open: make(chan struct{})}
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.armed.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+g.operation) {
		select {
		case <-g.open:
		case <-r.Context().Done():
			g.gaveUp.Store(true)
		}
	}
	return g.RoundTripper.RoundTrip(r)
}

// What puts things in order after a write that failed holds up nobody whose time is
// over. Closing waits for it.
func TestUndoneBeside(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	g := newGate("DeleteSecret")
	c.Transport = g
	p := open(t, c)
	name, e := record(t, "a", "old", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := remove(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	g.armed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	s.Inject(awsserver.Fault{Operation: "PutSecretValue", Delay: 30 * time.Second})
	go func() {
		for s.Count("RestoreSecret") == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond) // so that the write has been sent
		cancel()
	}()
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInterrupted, "may be readable now", "delete it again")
	if g.gaveUp.Load() {
		t.Error("it waited for what puts things in order")
	}
	close(g.open)
	s.ClearFaults()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := open(t, configFor(s)).Exists(t.Context(), name); err != nil || found {
		t.Errorf("the old value can be read: %v, %v", found, err)
	}
}

// A refused write over a deleted credential says nothing of it if it is deleted
// again.
func TestUndoneAtOnce(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	name, e := record(t, "a", "old", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := remove(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{Operation: "PutSecretValue", Deny: true})
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "PutSecretValue")
	if strings.Contains(err.Error(), "readable") {
		t.Error(err)
	}
	s.Inject(awsserver.Fault{Operation: "DeleteSecret", Deny: true})
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "PutSecretValue", "may be readable now")
}
