package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider"
)

// database is a database that knows one password.
type database struct{ password atomic.Value }

func newDatabase(password string) *database {
	d := &database{}
	d.password.Store(password)
	return d
}

// ServeHTTP implements [http.Handler].
func (d *database) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != d.password.Load() {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte("3 orders\n"))
}

// RoundTrip implements [http.RoundTripper] without a network.
func (d *database) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	d.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// running is the service with a store and a database for the test.
type running struct {
	*service
	store    *nebulatest.Store
	database *database
}

func start(t *testing.T, password string) running {
	t.Helper()
	return startWith(t, password, nebula.Options{})
}

func startWith(t *testing.T, password string, options nebula.Options) running {
	t.Helper()
	store, database := nebulatest.NewStoreWith(t, options), newDatabase(password)
	s := newService(store.Store, "http://database", slog.New(slog.DiscardHandler))
	s.client = &http.Client{Transport: database}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.watch(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return running{s, store, database}
}

func (r running) get(t *testing.T, path string, status int) http.Header {
	t.Helper()
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	if answer.Code != status {
		t.Errorf("%s: status %d, want %d: %s", path, answer.Code, status, answer.Body)
	}
	return answer.Header()
}

func signature(key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("1 invoice\n"))
	return hex.EncodeToString(mac.Sum(nil))
}

// If a password is rotated while requests come, no request fails.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "old")
		synctest.Wait()
		r.get(t, "/ready", http.StatusServiceUnavailable)
		r.get(t, "/orders", http.StatusServiceUnavailable)
		r.store.Set(databasePassword, "old")
		time.Sleep(time.Second)
		r.get(t, "/ready", http.StatusOK)
		r.get(t, "/orders", http.StatusOK)
		r.database.password.Store("new")
		r.store.Set(databasePassword, "new")
		r.get(t, "/orders", http.StatusOK)
		// If the right password never comes, the request fails in time.
		r.database.password.Store("unknown")
		begun := time.Now()
		r.get(t, "/orders", http.StatusServiceUnavailable)
		if took := time.Since(begun); took > requestTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// A request uses the key that is stored at that moment.
func TestInvoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "p")
		for _, key := range []string{"first", "second"} {
			r.store.Set(invoiceKey, key)
			if got := r.get(t, "/invoice", http.StatusOK).Get("X-Signature"); got != signature(key) {
				t.Errorf("signed %s", got)
			}
		}
		r.store.Remove(invoiceKey)
		r.get(t, "/invoice", http.StatusInternalServerError)
	})
}

// In an outage the watched password still works. A value that is read for each request
// fails at once, or within its time if the backend does not answer.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "p")
		r.store.Set(databasePassword, "p")
		r.store.Set(invoiceKey, "k")
		time.Sleep(time.Second)
		for _, outage := range []func(){func() { r.store.Fail(nebula.ErrUnavailable) }, func() { r.store.Slow(time.Hour) }} {
			outage()
			for range 60 {
				r.get(t, "/orders", http.StatusOK)
				begun := time.Now()
				r.get(t, "/invoice", http.StatusServiceUnavailable)
				if took := time.Since(begun); took > requestTimeout {
					t.Errorf("it took %v", took)
				}
				time.Sleep(time.Second)
			}
			r.store.Mend()
			r.get(t, "/invoice", http.StatusOK)
		}
		if r.store.Calls(provider.OpRetrieve) == 0 {
			t.Error("nothing was read")
		}
	})
}

// With the cache of config.toml, no request fails in an outage of a minute.
func TestOutageLastKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := nebula.Options{Cache: nebula.CacheOptions{LastKnown: time.Hour}}
		r := startWith(t, "p", options)
		r.store.Set(databasePassword, "p")
		r.store.Set(invoiceKey, "k")
		time.Sleep(time.Second)
		r.get(t, "/invoice", http.StatusOK)
		r.store.Fail(nebula.ErrUnavailable)
		for range 60 {
			r.get(t, "/orders", http.StatusOK)
			if got := r.get(t, "/invoice", http.StatusOK).Get("X-Signature"); got != signature("k") {
				t.Errorf("signed %s", got)
			}
			time.Sleep(time.Second)
		}
		r.store.Mend()
		r.store.Set(invoiceKey, "new")
		r.get(t, "/invoice", http.StatusOK) // this finds that the backend is back
		time.Sleep(time.Second)
		if got := r.get(t, "/invoice", http.StatusOK).Get("X-Signature"); got != signature("new") {
			t.Errorf("after the outage, signed %s", got)
		}
	})
}
