package aws_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// gate holds back calls of one operation until it is opened.
type gate struct {
	http.RoundTripper
	operation string
	armed     atomic.Bool
	open      chan struct{}
	waiting   atomic.Bool // a call is held back
	gaveUp    atomic.Bool // a call ended before the gate was opened
}

func newGate(operation string) *gate {
	return &gate{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: operation, open: make(chan struct{})}
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.armed.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+g.operation) {
		g.waiting.Store(true)
		select {
		case <-g.open:
		case <-r.Context().Done():
			g.gaveUp.Store(true)
		}
	}
	return g.RoundTripper.RoundTrip(r)
}

// After a write that failed, the clean-up runs in the background: it delays no caller
// beyond its deadline. Close waits for it.
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
		t.Error("it waited for the clean-up")
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

// If a write over a deleted credential is refused and the credential is deleted
// again, the error does not mention it.
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

// What is deleted again after a write that failed, and what the error says of it.
func TestUndone(t *testing.T) {
	deny := func(o *peer, operation string) {
		o.s.Inject(awsserver.Fault{Operation: operation, Deny: true})
	}
	for what, c := range map[string]struct {
		operation string // what comes, comes before it
		comes     func(*peer)
		readable  bool // the error says that it may be
		live      bool
	}{
		"overtaken":         {"PutSecretValue", func(o *peer) { o.store(); deny(o, "PutSecretValue") }, false, true},
		"deleted by others": {"PutSecretValue", func(o *peer) { o.delete(); deny(o, "PutSecretValue") }, false, false},
		"purged by others":  {"PutSecretValue", func(o *peer) { o.purge(); deny(o, "PutSecretValue") }, false, false},
		"not to be seen":    {"PutSecretValue", func(o *peer) { deny(o, "PutSecretValue"); deny(o, "DescribeSecret") }, true, true},
		"restored unheard": {"RestoreSecret", func(o *peer) {
			o.s.Inject(awsserver.Fault{Operation: "RestoreSecret", Times: 1, Cut: awsserver.CutAfter})
		}, false, false},
		"not to be restored": {"RestoreSecret", func(o *peer) { deny(o, "RestoreSecret") }, false, false},
		"tags refused":       {"TagResource", func(o *peer) { deny(o, "TagResource") }, false, true},
	} {
		for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
			o, p, m := between(t)
			o.store()
			o.delete()
			m.operation, m.do = c.operation, func() { c.comes(o) }
			_, mine := record(t, "a", "mine", nil)
			_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: condition})
			if err == nil || m.do != nil {
				t.Errorf("%s, %v: %v", what, condition, err)
				continue
			}
			if said := strings.Contains(err.Error(), "may be readable now"); said != c.readable {
				t.Errorf("%s, %v: %v", what, condition, err)
			}
			o.s.ClearFaults()
			if found, err := o.p.Exists(t.Context(), o.name); err != nil || found != c.live {
				t.Errorf("%s, %v: it exists: %v, %v", what, condition, found, err)
			}
		}
	}
}

// What a write restored that then failed belongs to that write alone: who restores
// the credential later has it, and a write if there is none leaves it alone.
func TestRestoredSinceByOthers(t *testing.T) {
	restores := func(o *peer, p full) error { return p.Restore(o.t.Context(), o.name) }
	deletes := func(o *peer, p full) error { return remove(o.t.Context(), p, o.name) }
	for what, since := range map[string]func(*peer, full) error{
		"deleted again at once": func(o *peer, _ full) error { return restores(o, o.p) },
		"deleted again later":   func(o *peer, p full) error { return errors.Join(deletes(o, p), restores(o, o.p)) },
		"deleted by others":     func(o *peer, p full) error { return errors.Join(deletes(o, o.p), restores(o, p)) },
		"written over, and that undone": func(o *peer, p full) error {
			_, next := record(t, "a", "next", nil)
			first, err := o.p.Retrieve(t.Context(), o.name)
			v, failed := o.p.Store(t.Context(), o.name, next, nebula.StoreOptions{})
			_, exists := p.Store(t.Context(), o.name, next, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
			wants(t, exists, nebula.ErrAlreadyExists)
			return errors.Join(err, failed, o.move(string(v), string(first.Version)))
		},
	} {
		o, p, _ := between(t)
		o.store()
		o.delete()
		o.s.Inject(awsserver.Fault{Operation: "PutSecretValue", Deny: true})
		if what != "deleted again at once" {
			o.s.Inject(awsserver.Fault{Operation: "DeleteSecret", Deny: true})
		}
		_, mine := record(t, "a", "mine", nil)
		_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		wants(t, err, nebula.ErrPermissionDenied)
		o.s.ClearFaults()
		if err := since(o, p); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		_, err = p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		wants(t, err, nebula.ErrAlreadyExists)
		got, err := p.Retrieve(t.Context(), o.name)
		if err != nil || string(got.Envelope.Bytes()) != string(o.theirs.Bytes()) {
			t.Errorf("%s: it was written over: %v", what, err)
		}
	}
}

// A write that goes on with what an earlier one restored, and fails too, deletes it
// again.
func TestUndoneByTheNext(t *testing.T) {
	o, p, _ := between(t)
	o.store()
	o.delete()
	_, mine := record(t, "a", "mine", nil)
	for _, c := range []struct{ denied, says string }{{"DeleteSecret", "may be readable now"}, {"", "PutSecretValue"}} {
		o.s.Inject(awsserver.Fault{Operation: "PutSecretValue", Deny: true})
		if c.denied != "" {
			o.s.Inject(awsserver.Fault{Operation: c.denied, Deny: true})
		}
		_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		wants(t, err, nebula.ErrPermissionDenied, c.says)
		o.s.ClearFaults()
		if found, err := o.p.Exists(t.Context(), o.name); err != nil || found != (c.denied != "") {
			t.Errorf("it exists: %v, %v", found, err)
		}
	}
}
