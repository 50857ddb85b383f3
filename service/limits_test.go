package service_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service"
)

// Nothing is served without the audit log. A change that was made before the service
// noticed is not acknowledged, and no further change is made.
func TestAuditFails(t *testing.T) {
	for _, first := range []ask{
		{method: "GET", path: at("a")}, {method: "PUT", path: at("a"), body: "w", header: asBytes()}, {method: "POST", path: "/v1/batch-get", body: `{"ids":["a"]}`, header: asJSON()},
	} {
		r, store := memory(t)
		store.Set("a", "v")
		r.want(ask{method: "GET", path: "/v1/store"}, 200, "")
		if err := os.RemoveAll(filepath.Dir(r.audit)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Dir(r.audit), nil, 0o600); err != nil { // a file instead of the directory
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond) // the log looks for its file once a second
		if first.path == "/v1/batch-get" {
			i := r.want(first, 200, "").items(t).Items[0] // the answer had begun
			if i.Error == nil || i.Error.Kind != "unavailable" || i.Value != "" {
				t.Errorf("%+v", i)
			}
		} else if got := r.want(first, 503, "unavailable"); strings.Contains(got.body, r.audit) || (first.method == "PUT") != strings.Contains(got.body, "may have been made") {
			t.Errorf("%s", got.body)
		}
		value, calls := store.Value("a"), store.Calls(provider.OpStore)+store.Calls(provider.OpRetrieve)
		for _, a := range []ask{
			first, {method: "GET", path: at("a")}, {method: "PUT", path: at("a"), body: "x", header: asBytes()}, {method: "DELETE", path: at("a")}, {method: "GET", path: "/v1/credentials"},
			{method: "GET", path: "/v1/store"}, {method: "BREW", path: at("a")}, {method: "GET", path: "/readyz"},
		} {
			r.want(a, 503, "unavailable")
		}
		r.want(ask{method: "GET", path: at("a"), token: "-"}, 401, "invalid_token")
		if store.Value("a") != value || store.Calls(provider.OpStore)+store.Calls(provider.OpRetrieve) != calls {
			t.Error("the backend was called")
		}
	}
}

// If the token file cannot be relied on, nobody is let in, and nobody is told that the
// token is wrong.
func TestTokenFileFails(t *testing.T) {
	r, _ := memory(t)
	r.want(ask{method: "GET", path: "/v1/store"}, 200, "")
	if err := os.Remove(r.tokens.Path()); err != nil {
		t.Fatal(err)
	}
	got := r.want(ask{method: "GET", path: "/v1/store"}, 503, "unavailable")
	if strings.Contains(got.body, r.tokens.Path()) {
		t.Errorf("the answer shows the path of the file: %s", got.body)
	}
}

// If there are too many requests, the next one is told at once to come again.
func TestTooManyRequests(t *testing.T) {
	r, store := memory(t, func(o *service.Options) { o.MaxRequests = 2 })
	store.Set("a", "v")
	held := make(chan struct{})
	arrived := make(chan struct{}, 2)
	hold := func() { arrived <- struct{}{}; <-held }
	var wg sync.WaitGroup
	for range 2 {
		store.BeforeWrite(hold)
		wg.Go(func() {
			if got := r.do(ask{method: "PUT", path: at("a"), body: "x", header: asBytes()}); got.StatusCode != 200 {
				t.Errorf("%d: %s", got.StatusCode, got.body)
			}
		})
		<-arrived
	}
	got := r.want(ask{method: "GET", path: at("a")}, 503, "busy")
	if got.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", got.Header)
	}
	r.want(ask{method: "GET", path: "/healthz"}, 200, "")
	r.want(ask{method: "GET", path: "/readyz"}, 200, "")
	r.want(ask{method: "GET", path: at("a"), token: "-"}, 401, "invalid_token")
	close(held)
	wg.Wait()
	r.want(ask{method: "GET", path: at("a")}, 200, "")
}

// Clients without a token, with bodies that never end, do not take the turn of others.
func TestUnauthenticatedTakeNoTurn(t *testing.T) {
	r, _ := memory(t, func(o *service.Options) { o.MaxRequests = 1 })
	r.client = r.server.Client()
	body, never := io.Pipe()
	defer never.Close()
	request, err := http.NewRequestWithContext(t.Context(), "PUT", r.server.URL+at("a"), body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("%d", response.StatusCode)
	}
	r.want(ask{method: "GET", path: "/v1/store"}, 200, "")
}

// Readiness is checked at most once in 30 seconds, however many clients ask.
func TestReadiness(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	r, store := memory(t, func(o *service.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	ready := func(status int) { r.want(ask{method: "GET", path: "/readyz", token: "-"}, status, "") }
	ready(200)
	calls := store.Calls(provider.OpExists)
	store.Fail(nebula.ErrUnavailable)
	pass(29 * time.Second)
	ready(200)
	if n := store.Calls(provider.OpExists); n != calls {
		t.Errorf("the backend was asked %d times", n-calls)
	}
	pass(time.Second)
	ready(503)
	store.Mend()
	pass(29 * time.Second)
	ready(503)
	pass(time.Second)
	ready(200)
}

// After Close nothing begins.
func TestClose(t *testing.T) {
	r, store := memory(t)
	s := r.server.Config.Handler.(*service.Service)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r.want(ask{method: "PUT", path: at("a"), body: "x", header: asBytes()}, 503, "closed")
	r.want(ask{method: "GET", path: "/readyz"}, 503, "unavailable")
	r.want(ask{method: "GET", path: "/healthz"}, 200, "")
	if found, err := store.Exists(t.Context(), "a"); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
