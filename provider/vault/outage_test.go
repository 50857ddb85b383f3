package vault_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/livetest"
	"github.com/nebula-credential/nebula/middleware"
)

// The server stops and starts again under load. Attempts are as many as the
// policy allows; each write that was acknowledged stands, as one version.
func TestLiveStopAndStart(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{})
	wire := &recorder{inner: &http.Transport{}}
	c := liveConfig(s, "secret")
	c.Transport, c.OneShot = wire, true
	metrics := new(middleware.StorageMetrics)
	p := open(t, c, middleware.Options{Metrics: metrics})
	const writers, each = 8, 12
	var group sync.WaitGroup
	var mu sync.Mutex
	acknowledged := make(map[string]int)
	for i := range writers {
		group.Go(func() {
			for j := range each {
				id := fmt.Sprintf("w%d", i)
				name, e := record(t, id, fmt.Sprint(j), nil)
				if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err == nil {
					mu.Lock()
					acknowledged[id]++
					mu.Unlock()
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	s.Stop(t)
	time.Sleep(300 * time.Millisecond)
	s.Start(t)
	group.Wait()
	if metrics.RetryCount() == 0 {
		t.Error("nothing was retried: the outage was not met")
	}
	historian, _ := nebula.As[nebula.Historian](p)
	for i := range writers {
		id := fmt.Sprintf("w%d", i)
		n := acknowledged[id]
		name, _ := record(t, id, "", nil)
		history, err := historian.History(t.Context(), name)
		// Vault keeps ten versions; their numbers count all. One more would be a
		// write that was repeated though it had been done.
		if err != nil || n != each || len(history) == 0 || !strings.HasPrefix(string(history[0].Version), fmt.Sprint(each, "-")) {
			t.Errorf("%s: %d writes were acknowledged, the version is %v, %v", id, n, history, err)
		}
	}

	// While it is down each call makes the attempts of the policy, no more.
	s.Stop(t)
	c.Retry.BaseDelayMS, c.Retry.MaxRetries = 10, 5
	policy := middleware.Policy{Retry: c.Retry, Timeout: c.Timeout}
	s.Start(t)
	counted := open(t, c, middleware.Options{Policy: &policy})
	name, _ := record(t, "w0", "", nil)
	if _, err := counted.Retrieve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	wire.since()
	_, err := counted.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "refuses the connection")
	if n := len(wire.since()); n != 6 {
		t.Errorf("%d attempts, want 6", n)
	}

	// A process that never heard of the server is told at once.
	first := open(t, c, middleware.Options{})
	wire.since()
	began := time.Now()
	_, err = first.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable)
	if n := len(wire.since()); n != 1 || time.Since(began) > 2*time.Second {
		t.Errorf("%d attempts in %v, want one", n, time.Since(began))
	}
}

// A sealed server is unavailable, and says how to unseal it.
func TestLiveSealed(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{TLS: true})
	c := liveConfig(s, "secret")
	c.OneShot, c.Retry.MaxRetries = true, 0
	p := open(t, c, middleware.Options{})
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodPut, "sys/seal", nil)
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "sealed", "vault operator unseal")
	c.CACert = ""
	stranger := open(t, c, middleware.Options{})
	_, err = stranger.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "certificate", "ca_cert")
}
