package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// The server stops for ten seconds and starts again, under load. Every call succeeds
// or fails with unavailable, within its deadline. Each acknowledged write is stored,
// and none is stored twice.
func TestLiveStopAndStart(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.NewVault(t, livetest.VaultOptions{})
	s.API(t, http.MethodPost, "secret/config", map[string]any{"max_versions": 10_000})
	c := liveConfig(s, "secret")
	metrics := new(provider.StorageMetrics)
	p := open(t, c, provider.WithMetrics(metrics), provider.OneShot())
	const writers, outage = 8, 10 * time.Second
	id := func(i int) string { return fmt.Sprintf("w%d", i) }
	acknowledged := make([][]nebula.Version, writers)
	var failures atomic.Int64
	up := make(chan struct{})
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for rounds := 5; rounds > 0; time.Sleep(50 * time.Millisecond) {
				select {
				case <-up:
					rounds--
				default:
				}
				name, e := record(t, id(i), fmt.Sprint(len(acknowledged[i])), nil)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				v, err := p.Store(ctx, name, e, nebula.StoreOptions{})
				switch {
				case ctx.Err() != nil:
					t.Errorf("a call took until its deadline: %v", err)
				case err == nil:
					acknowledged[i] = append(acknowledged[i], v)
				case errors.Is(err, nebula.ErrUnavailable):
					failures.Add(1)
				default:
					t.Errorf("while the server was down: %v", err)
				}
				cancel()
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	s.Stop(t)
	time.Sleep(outage)
	s.Start(t)
	close(up)
	group.Wait()
	if metrics.RetryCount() == 0 || failures.Load() == 0 {
		t.Errorf("%d retries, %d failures: the outage hit no call", metrics.RetryCount(), failures.Load())
	}
	historian, _ := nebula.As[nebula.Historian](p)
	retriever, _ := nebula.As[nebula.VersionRetriever](p)
	for i := range writers {
		name, _ := record(t, id(i), "", nil)
		history, err := historian.History(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		stands := make(map[nebula.Version]bool)
		seals := make(map[string]nebula.Version)
		for _, version := range history {
			stands[version.Version] = true
			r, err := retriever.RetrieveVersion(t.Context(), name, version.Version)
			if err != nil {
				t.Fatal(err)
			}
			// No two seals are alike: if a record is stored twice, a write was
			// repeated although it had been done.
			seal := string(r.Envelope.Bytes())
			if twin, twice := seals[seal]; twice {
				t.Errorf("%s: versions %s and %s are of one write", id(i), version.Version, twin)
			}
			seals[seal] = version.Version
		}
		for _, v := range acknowledged[i] {
			if !stands[v] {
				t.Errorf("%s: version %s was acknowledged and is not stored", id(i), v)
			}
		}
	}
}

// While the server is down, each call makes the attempts of the policy and no more.
func TestLiveDown(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{})
	wire := &recorder{inner: newTransport(t)}
	c := liveConfig(s, "secret")
	c.Transport = wire
	c.Retry.BaseDelayMS, c.Retry.MaxRetries = 10, 5
	counted := open(t, c, provider.OneShot())
	name, e := record(t, "w0", "v", nil)
	if _, err := counted.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	wire.since()
	_, err := counted.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "refuses the connection")
	if n := len(wire.since()); n != 6 {
		t.Errorf("%d attempts, want 6", n)
	}

	// A process that the server has never answered reports the failure at once.
	first := open(t, c, provider.OneShot())
	wire.since()
	began := time.Now()
	_, err = first.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable)
	if n := len(wire.since()); n != 1 || time.Since(began) > 2*time.Second {
		t.Errorf("%d attempts in %v, want one", n, time.Since(began))
	}
}

// If the server is sealed, the error is unavailable and says how to unseal it.
func TestLiveSealed(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{TLS: true})
	c := liveConfig(s, "secret")
	c.Retry.MaxRetries = 0
	p := open(t, c, provider.OneShot())
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodPut, "sys/seal", nil)
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "sealed", "vault operator unseal")
	c.CACert = ""
	stranger := open(t, c, provider.OneShot())
	_, err = stranger.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "certificate", "ca_cert")
}
