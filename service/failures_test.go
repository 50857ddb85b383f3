package service_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	memoryprovider "github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/token"
)

// Each kind has one status. If the backend refuses the service, the client is not told
// to change its own token.
func TestKinds(t *testing.T) {
	r, store := memory(t)
	r.client = r.server.Client() // the contract does not allow some of these for a GET
	store.Set("a", "v")
	for kind, status := range map[nebula.Kind]int{
		nebula.ErrConflict: 409, nebula.ErrPermissionDenied: 502, nebula.ErrUnauthenticated: 502, nebula.ErrUnavailable: 503,
		nebula.ErrTimeout: 504, nebula.ErrTooLarge: 413, nebula.ErrInvalidConfig: 500, nebula.ErrInvalidMetadata: 422, nebula.ErrWrongKey: 500, nebula.ErrCorrupted: 500,
		nebula.ErrDecryptionFailed: 500, nebula.ErrUnsupportedVersion: 500, nebula.ErrRolledBack: 500, nebula.ErrUntrustedKey: 500, nebula.ErrNotSupported: 501,
		nebula.ErrClosed: 503, nebula.ErrInternal: 500, "of another time": 500,
	} {
		store.Mend()
		store.FailTimes(kind, provider.OpRetrieve, -1)
		want := string(kind)
		if kind == "of another time" {
			want = "internal"
		}
		got := r.want(ask{method: "GET", path: at("a")}, status, want)
		p := got.problem(t)
		if p.Detail != "a fault that the test asked for" || p.ID != "a" {
			t.Errorf("%s: %s", kind, got.body)
		}
		if lines := r.lines(); lines[len(lines)-1]["outcome"] != want {
			t.Errorf("%s: %v", kind, lines[len(lines)-1])
		}
	}
}

// If one of its ids cannot be read, a batch goes on.
func TestBatchFailures(t *testing.T) {
	r, store := memory(t)
	for _, id := range []nebula.ID{"a", "b"} {
		store.Set(id, "v")
	}
	store.FailTimes(nebula.ErrUnavailable, provider.OpRetrieveBatch, -1)
	all := r.want(ask{method: "POST", path: "/v1/batch-get", body: `{"ids":["a","b"]}`, header: asJSON()}, 200, "").items(t).Items
	for _, i := range all {
		if i.Error == nil || i.Error.Kind != "unavailable" || i.Error.Status != 503 || i.Error.ID != i.ID {
			t.Errorf("%+v", i)
		}
	}
	if len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

// A missing store is not answered like a missing credential. Otherwise a client would
// drop the value that it has.
func TestNotInitialised(t *testing.T) {
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(t.TempDir(), "store")
	p, err := local.New(config)
	if err != nil {
		t.Fatal(err)
	}
	store, err := nebula.Open(t.Context(), p, nebula.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, store)
	for _, a := range []ask{
		{method: "GET", path: at("a")}, {method: "HEAD", path: at("a")}, {method: "DELETE", path: at("a")}, {method: "GET", path: "/v1/credentials"},
		{method: "PUT", path: at("a"), body: "x", header: asBytes()},
	} {
		r.want(a, 503, "not_initialised")
	}
	r.want(ask{method: "GET", path: "/readyz"}, 503, "unavailable")
	r.want(ask{method: "GET", path: "/healthz"}, 200, "")
}

// A local store without locks cannot compare versions, and says so.
func TestWithoutPreconditions(t *testing.T) {
	runSuite(t, func(t *testing.T) *nebula.Store {
		config := local.DefaultConfig()
		config.BasePath = filepath.Join(t.TempDir(), "store")
		config.EnableLocking = false
		p, err := local.New(config)
		return openStore(t, p, err)
	})
}

// The backend's message goes to the log of the service, and the part for the caller to
// the caller. Neither has the value.
func TestLog(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	r, store := memory(t, func(o *service.Options) {
		o.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	})
	store.FailTimes(nebula.ErrPermissionDenied, provider.OpStore, -1)
	got := r.want(ask{method: "PUT", path: at("a"), body: "s3cret", header: asBytes()}, 502, "permission_denied")
	mu.Lock()
	text := log.String()
	mu.Unlock()
	if !strings.Contains(text, got.Header.Get("X-Request-Id")) || !strings.Contains(text, "permission_denied") {
		t.Errorf("the log has %s", text)
	}
	for _, where := range []string{text, got.body, strings.Join(keysOf(r.lines()), " ")} {
		if strings.Contains(where, "s3cret") || strings.Contains(where, r.all) {
			t.Errorf("a value or a token is in %s", where)
		}
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.w.Write(b) }

func keysOf(lines []map[string]string) (all []string) {
	for _, l := range lines {
		for k, v := range l {
			all = append(all, k, v)
		}
	}
	return all
}

// The store knows the caller: the token's name, and the trace.
func TestCaller(t *testing.T) {
	var mu sync.Mutex
	var seen []nebula.Caller
	p, err := memoryprovider.New(memoryprovider.DefaultConfig(), provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		if call.Name.String() == "a" {
			mu.Lock()
			seen = append(seen, nebula.CallerFrom(ctx))
			mu.Unlock()
		}
		return next(ctx)
	}))
	r := newRig(t, openStore(t, p, err))
	reader := r.token(token.Grant{Name: "reader", Allow: []token.Verb{token.Read}, Scope: "blue"})
	for header, want := range map[string]string{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": "4bf92f3577b34da6a3ce929d0e0e4736",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": "", "x": "", "": "",
	} {
		seen = nil
		got := r.want(ask{method: "GET", path: at("a"), token: reader, header: map[string]string{"Traceparent": header}}, 404, "not_found")
		if want == "" {
			want = got.Header.Get("X-Request-Id")
		}
		if !slices.Contains(seen, nebula.Caller{Owner: "reader", Scope: "blue", TraceID: want}) {
			t.Errorf("%q: %+v", header, seen)
		}
	}
}

// In an outage the service answers with the last known value.
func TestLastKnown(t *testing.T) {
	store := nebulatest.NewStoreWith(t, nebula.Options{Cache: nebula.CacheOptions{LastKnown: time.Hour}})
	r := newRig(t, store.Store)
	store.Set("a", "v")
	r.want(ask{method: "GET", path: at("a")}, 200, "")
	store.Fail(nebula.ErrUnavailable)
	if i := r.want(ask{method: "GET", path: at("a")}, 200, "").item(t); i.Value != "v" || i.LastKnown == nil || time.Since(*i.LastKnown) > time.Hour {
		t.Errorf("%+v", i)
	}
}

// A panic is answered as an internal error, and has a line in the audit log. The text of
// the panic is not shown.
func TestDefect(t *testing.T) {
	p, err := memoryprovider.New(memoryprovider.DefaultConfig(), provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		if call.Name.String() == "a" {
			panic("s3cret")
		}
		return next(ctx)
	}))
	var log strings.Builder
	var mu sync.Mutex
	r := newRig(t, openStore(t, p, err), func(o *service.Options) {
		o.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	})
	got := r.want(ask{method: "HEAD", path: at("a")}, 500, "")
	if lines := r.lines(); len(lines) != 1 || lines[0]["outcome"] != "internal" || lines[0]["request"] != got.Header.Get("X-Request-Id") {
		t.Errorf("%v", lines)
	}
	r.want(ask{method: "DELETE", path: at("a")}, 500, "internal")
	r.want(ask{method: "GET", path: at("b")}, 404, "not_found")
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "failures_test.go") || strings.Contains(log.String(), "s3cret") {
		t.Errorf("the log has %s", log.String())
	}
}
