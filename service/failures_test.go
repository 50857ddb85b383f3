package service_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
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

// Each kind has one status. Where the backend refuses the service, a client is not
// told to mend its own token.
func TestKinds(t *testing.T) {
	r, store := memory(t)
	r.client = r.server.Client() // a GET meets some of these only here
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

// A batch goes on where one of its ids cannot be read.
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

// That there is no store is not that there is no such credential: a client that took
// it so would drop what it has.
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

// A local store without locks cannot compare: it says so rather than pretend to.
func TestWithoutPreconditions(t *testing.T) {
	runSuite(t, backend{open: func(t *testing.T) *nebula.Store {
		config := local.DefaultConfig()
		config.BasePath = filepath.Join(t.TempDir(), "store")
		config.EnableLocking = false
		p, err := local.New(config)
		return openStore(t, p, err)
	}})
}

// Nothing is served without the log. What was done before that was found out is not
// acknowledged, and nothing more is done.
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
		if err := os.WriteFile(filepath.Dir(r.audit), nil, 0o600); err != nil { // a file where the directory was
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond) // the log looks once a second where its file is
		if first.path == "/v1/batch-get" {
			i := r.want(first, 200, "").items(t).Items[0] // it had begun
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

// A token file that cannot be relied on is no reason to let anybody in, nor to say
// that the token is wrong.
func TestTokenFileFails(t *testing.T) {
	r, _ := memory(t)
	r.want(ask{method: "GET", path: "/v1/store"}, 200, "")
	if err := os.Remove(r.tokens.Path()); err != nil {
		t.Fatal(err)
	}
	got := r.want(ask{method: "GET", path: "/v1/store"}, 503, "unavailable")
	if strings.Contains(got.body, r.tokens.Path()) {
		t.Errorf("it tells where the file is: %s", got.body)
	}
}

// A request more than there may be is told to come again, at once.
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

// Those without a token cannot keep others from being served, by bodies that never end.
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

// Readiness is found out once in 30 seconds, whoever asks.
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

// After Close nothing is begun.
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

// Pages come from what the first one found, for ten seconds and no longer; a first
// page is always listed anew.
func TestListsAreKept(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	r, store := memory(t, func(o *service.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	for _, id := range []nebula.ID{"a", "b", "c", "d"} {
		store.Set(id, "v")
	}
	page := func(query string) (string, string) {
		all := r.want(ask{method: "GET", path: "/v1/credentials?limit=1" + query}, 200, "").items(t)
		return all.Items[0].ID, all.Next
	}
	_, next := page("")
	calls := store.Calls(provider.OpList)
	store.Set("aa", "v")
	pass(9 * time.Second)
	if id, _ := page("&cursor=" + next); id != "b" || store.Calls(provider.OpList) != calls {
		t.Errorf("%s after %d lists", id, store.Calls(provider.OpList)-calls)
	}
	if id, _ := page("&cursor=" + next + "&details=true"); id != "b" {
		t.Errorf("%s", id)
	}
	narrow := r.token(token.Grant{Name: "narrow", Allow: []token.Verb{token.List}, Prefix: "c"})
	got := r.want(ask{method: "GET", path: "/v1/credentials?cursor=" + next, token: narrow}, 200, "").items(t)
	if len(got.Items) != 1 || got.Items[0].ID != "c" {
		t.Errorf("the list of another token was given: %+v", got)
	}
	pass(time.Second)
	if id, _ := page("&cursor=" + next); id != "aa" {
		t.Errorf("%s after ten seconds", id)
	}
	page("")
	store.Set("0", "v")
	if id, _ := page(""); id != "0" {
		t.Errorf("the first page is %s", id)
	}
}

// A record that cannot be read is listed, with the reason.
func TestListFailures(t *testing.T) {
	store := openLocal(t)
	r := newRig(t, store)
	r.set("a", "v")
	r.set("b", "v")
	dir := strings.TrimPrefix(store.Describe().Address, "file:")
	if err := os.WriteFile(filepath.Join(dir, "b.enc.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := r.want(ask{method: "GET", path: "/v1/credentials?details=true"}, 200, "").items(t).Items
	if len(all) != 2 || all[0].Metadata == nil || all[1].Error == nil || all[1].Error.Kind != "corrupted" || all[1].Error.Status != 500 {
		t.Errorf("%+v", all)
	}
	r.want(ask{method: "GET", path: at("b")}, 500, "corrupted")
	r.want(ask{method: "PUT", path: at("b"), body: "x", header: asBytes()}, 500, "corrupted")
}

// What the backend says of itself goes to the log of the service, the caller's part
// of it to the caller. Neither has the value.
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

// Who asks is known to the store: the token's name, and the trace.
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

// A value that is no longer sent is no longer there.
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
