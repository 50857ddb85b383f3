package azure_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// throughFaults returns a configuration that reaches the server through a proxy, with
// the transport of providers.
func (r *rig) throughFaults(t *testing.T, http1 bool) (azure.Config, *faultproxy.Proxy) {
	t.Helper()
	proxy := faultproxy.Start(t, faultproxy.Options{Dial: r.Server.DialContext, TargetTLS: &tls.Config{RootCAs: r.Server.CAPool()}, HTTP1: http1})
	address, err := url.Parse(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := r.principal()
	c.Transport = httpx.NewClient(httpx.Options{Proxy: address, Roots: proxy.CAPool(), Total: 2 * c.Timeout, MaxBody: 4 << 20}).Transport
	return c, proxy
}

// A connection that goes dead without an error carries no retry: an unanswered ping
// ends it, and the next attempt takes another connection, over HTTP/2 too.
func TestLiveDeadConnection(t *testing.T) {
	t.Parallel() // it mostly waits
	r := newRig(t)
	c, proxy := r.throughFaults(t, false)
	metrics := new(provider.StorageMetrics)
	p := r.open(t, c, provider.WithMetrics(metrics))
	ctx := t.Context()
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(proxy.Events(), func(e faultproxy.Event) bool { return e.Proto == "HTTP/2.0" }) {
		t.Error("the test does not speak HTTP/2")
	}
	if n := proxy.Drop(); n == 0 {
		t.Fatal("no connection was open")
	}
	failures := make(chan error)
	for range 4 {
		go func() { _, err := p.Retrieve(ctx, name); failures <- err }()
	}
	for range 4 {
		if err := <-failures; err != nil {
			t.Errorf("after the connection went dead: %v", err)
		}
	}
	if n := metrics.RetryCount(); n > 4 {
		t.Errorf("%d retries of 4 calls: they took the dead connection again", n)
	}
	// The answer to a write is lost the same way.
	proxy.Add(faultproxy.Rule{Method: http.MethodPut, Times: 1, Fault: faultproxy.SilenceAfter()})
	_, e = record(t, "x", "another", nil)
	v, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	history, failed := p.(full).History(ctx, name)
	if err != nil || failed != nil || len(history) != 2 || history[0].Version != v {
		t.Errorf("%v, %v, %d versions", err, failed, len(history))
	}
	proxy.Wants(t, faultproxy.KindSilenceAfter, 1)
}

// Every change of state ends as documented if connections break and requests are
// refused, before and after they had their effect.
func TestLiveStatesWithFaults(t *testing.T) {
	for range 20 {
		r := newRig(t)
		c, proxy := r.throughFaults(t, true)
		isVault := func(r *http.Request) bool { return strings.HasSuffix(r.Host, ".vault.azure.net") }
		for _, fault := range []faultproxy.Fault{faultproxy.ResetBefore(), faultproxy.ResetAfter(), faultproxy.Cut(),
			faultproxy.Answer(http.StatusTooManyRequests, "1").WithBody("application/json", `{"error":{"code":"Throttled","message":"x"}}`),
			faultproxy.Answer(http.StatusServiceUnavailable, "")} {
			proxy.Add(faultproxy.Rule{Match: isVault, Probability: 0.01, Fault: fault})
		}
		c.Retry.MaxRetries = 10
		p := r.all(t, c)
		statesInARow(t, func() full { return p })
	}
}

// A change that was given up may still be under way. The next change is sent after
// it, so the last acknowledged change is what is stored.
func TestLiveLateChanges(t *testing.T) {
	for what, c := range map[string]struct {
		late    azureserver.Operation
		begin   func(t *testing.T, p full, name nebula.Name, e *nebula.Envelope)
		givenUp func(ctx context.Context, p full, name nebula.Name, e *nebula.Envelope) error
		next    func(ctx context.Context, p full, name nebula.Name, e *nebula.Envelope) error
		stands  bool
	}{
		"delete, store":                    {azureserver.DeleteSecret, stored, deletes, stores, true},
		"purge a live one, store":          {azureserver.DeleteSecret, stored, purges, stores, true},
		"purge a deleted one, store":       {azureserver.PurgeSecret, storedAndDeleted, purges, stores, true},
		"restore, delete":                  {azureserver.RecoverSecret, storedAndDeleted, restores, deletes, false},
		"store over a deleted one, delete": {azureserver.RecoverSecret, storedAndDeleted, stores, deletes, false},
		"store, delete":                    {azureserver.SetSecret, stored, stores, deletes, false},
		"store, store":                     {azureserver.SetSecret, stored, stores, stores, true},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			p := r.all(t, r.principal())
			name, old := record(t, "late", "old", nil)
			_, first := record(t, "late", "first", nil)
			_, second := record(t, "late", "second", nil)
			c.begin(t, p, name, old)
			r.clock.ahead.Add(int64(10 * time.Second))
			r.Inject(azureserver.Fault{Operation: c.late, Times: 1, Delay: 300 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			wants(t, c.givenUp(ctx, p, name, first), nebula.ErrTimeout)
			if err := c.next(t.Context(), p, name, second); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil { // waits for changes under way
				t.Error(err)
			}
			r.clock.ahead.Add(int64(time.Minute))
			q := r.all(t, r.principal())
			got, err := q.Retrieve(t.Context(), name)
			switch {
			case !c.stands:
				wants(t, err, nebula.ErrNotFound)
			case err != nil:
				t.Error(err)
			case string(got.Envelope.Bytes()) != string(second.Bytes()):
				t.Error("the stored value is not the one acknowledged last")
			}
		})
	}
}

func stored(t *testing.T, p full, name nebula.Name, e *nebula.Envelope) {
	t.Helper()
	if err := stores(t.Context(), p, name, e); err != nil {
		t.Fatal(err)
	}
}

func storedAndDeleted(t *testing.T, p full, name nebula.Name, e *nebula.Envelope) {
	t.Helper()
	stored(t, p, name, e)
	if err := deletes(t.Context(), p, name, e); err != nil {
		t.Fatal(err)
	}
}

func stores(ctx context.Context, p full, name nebula.Name, e *nebula.Envelope) error {
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	return err
}

func deletes(ctx context.Context, p full, name nebula.Name, _ *nebula.Envelope) error {
	return removed(ctx, p, name)
}

func purges(ctx context.Context, p full, name nebula.Name, _ *nebula.Envelope) error {
	return purged(ctx, p, name)
}

func restores(ctx context.Context, p full, name nebula.Name, _ *nebula.Envelope) error {
	return p.Restore(ctx, name)
}

// Key Vault takes no conditions, so a request that arrives after all waiting for it
// may still undo later changes. That loses nothing: restore undoes a deletion, and a
// value that was written over is among the versions.
func TestLiveTooLateChanges(t *testing.T) {
	t.Parallel() // it mostly waits
	r := newRig(t)
	c, proxy := r.throughFaults(t, false)
	c.Retry.MaxRetries = 0
	p := r.all(t, c)
	name, first := record(t, "late", "first", nil)
	_, second := record(t, "late", "second", nil)
	stored(t, p, name, first)
	give := func(method string, call func(context.Context) error) {
		t.Helper()
		defer proxy.Add(faultproxy.Rule{Method: method, Times: 1, Fault: faultproxy.Late(0)})()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wants(t, call(ctx), nebula.ErrTimeout)
	}
	give(http.MethodDelete, func(ctx context.Context) error { return removed(ctx, p, name) })
	stored(t, p, name, second)
	if n := proxy.Release(); n != 1 {
		t.Fatalf("%d requests were late", n)
	}
	if err := r.all(t, r.principal()).Restore(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	got, err := p.Retrieve(t.Context(), name)
	if err != nil || string(got.Envelope.Bytes()) != string(second.Bytes()) {
		t.Errorf("the acknowledged value is not restored: %v", err)
	}
	r.clock.ahead.Add(int64(time.Minute))
	give(http.MethodPut, func(ctx context.Context) error { return stores(ctx, p, name, first) })
	v, err := p.Store(t.Context(), name, second, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	proxy.Release()
	if got, err := p.RetrieveVersion(t.Context(), name, v); err != nil || string(got.Envelope.Bytes()) != string(second.Bytes()) {
		t.Errorf("the acknowledged value is not among the versions: %v", err)
	}
}
