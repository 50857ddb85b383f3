package kubernetes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// transport reaches the server, without our limits.
func transport(t testing.TB, s *livetest.KubernetesServer) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	inner := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(inner.CloseIdleConnections)
	return inner
}

func liveOpen(t *testing.T) (nebula.Provider, *recorder, kubernetes.Config) {
	t.Helper()
	s := livetest.Kubernetes(t)
	wire := &recorder{inner: transport(t, s)}
	c := liveConfig(t, s, s.Namespace(t))
	c.Transport = wire
	return open(t, c), wire, c
}

func secretsOf(c kubernetes.Config) string { return "/api/v1/namespaces/" + c.Namespace + "/secrets" }

// These are the calls of each operation on the wire: the table of
// docs/providers/kubernetes.md.
func TestLiveCalls(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	all := secretsOf(c)
	one := all + "/nebula-cred-a"
	costs := func(what string, err error, want ...string) {
		t.Helper()
		if got, _ := wire.since(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, calls\n%q, want\n%q", what, err, got, want)
		}
	}
	costs("connect", nil)
	store := func(value string, tags map[string]string, condition nebula.Precondition) (nebula.Version, error) {
		name, e := record(t, "a", value, tags)
		return p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
	}
	name, _ := record(t, "a", "", nil)
	first, err := store("1", map[string]string{"team": "x"}, nebula.Precondition{})
	costs("store new", err, "PATCH "+one, "POST "+all)
	second, err := store("2", map[string]string{"team": "y"}, nebula.Precondition{})
	costs("store again", err, "PATCH "+one)
	_, err = store("3", nil, nebula.IfVersion(first))
	wants(t, err, nebula.ErrConflict)
	costs("a conflict", nil, "PATCH "+one)
	third, err := store("3", map[string]string{"team": "y", "more": "1"}, nebula.IfVersion(second))
	costs("store on condition", err, "PATCH "+one)
	_, previous := record(t, "a", "3", map[string]string{"team": "y", "more": "1"})
	_, less := record(t, "a", "4", map[string]string{"more": "1"})
	_, err = p.Store(ctx, name, less, nebula.StoreOptions{Precondition: nebula.IfVersion(third), Previous: previous})
	costs("store with a tag less", err, "PATCH "+one)
	_, err = store("5", nil, nebula.Precondition{})
	costs("store with a tag less that was not known", err, "PATCH "+one, "PATCH "+one)
	_, err = p.Retrieve(ctx, name)
	costs("retrieve", err, "GET "+one)
	_, err = p.Exists(ctx, name)
	costs("exists", err, "GET "+one)
	_, err = list(ctx, p, nebula.Filter{})
	costs("list", err, "GET "+all)
	_, err = list(ctx, p, nebula.Filter{Tags: map[string]string{"ü": "no label"}})
	costs("list by a tag that is no label", err, "GET "+all)
	_, err = list(ctx, p, nebula.Filter{Tags: map[string]string{"team": "x", "ü": "no label"}})
	costs("list by a tag", err, "GET "+all, "GET "+all)
	batch, _ := nebula.As[nebula.BatchRetriever](p)
	_, err = batch.RetrieveBatch(ctx, []nebula.Name{name, name})
	costs("read", err, "GET "+one)
	current := currentVersion(t, p, name)
	wire.since()
	_, err = p.Delete(ctx, name, nebula.IfVersion(current))
	costs("delete on condition", err, "GET "+one, "DELETE "+one)
	_, err = store("6", nil, nebula.IfAbsent())
	costs("store if absent", err, "POST "+all)
	costs("delete", remove(ctx, p, name), "GET "+one, "DELETE "+one)
	costs("delete nothing", remove(ctx, p, name), "GET "+one)
}

// Values stay on the server unless a caller asks for them: the answers to Exists,
// lists, writes and deletions carry none.
func TestLiveNoValues(t *testing.T) {
	p, wire, _ := liveOpen(t)
	ctx := t.Context()
	const size = 600_000
	name, e := record(t, "large", strings.Repeat("v", size), nil)
	small := func(what string, err error) {
		t.Helper()
		if _, n := wire.since(); err != nil || n == 0 || n > 10_000 {
			t.Errorf("%s: %v, the answers have %d bytes", what, err, n)
		}
	}
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	small("create", err)
	_, err = p.Store(ctx, name, e, nebula.StoreOptions{})
	small("store", err)
	_, err = p.Exists(ctx, name)
	small("exists", err)
	_, err = list(ctx, p, nebula.Filter{})
	small("list", err)
	small("delete", remove(ctx, p, name))
}

// 5,000 credentials take ten pages. With a tag that the server selects by they take
// fewer, and one more for those whose labels others removed. The memory is that of a
// page, and no value crosses the wire.
func TestLiveListMany(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	const many, value = 5000, 4096
	fill(t, p, many, value)
	wire.since()
	calls := func(want int) (bytes int64) {
		t.Helper()
		got, bytes := wire.since()
		if len(got) != want || slices.ContainsFunc(got, func(call string) bool { return call != "GET "+secretsOf(c) }) {
			t.Errorf("%d calls, want %d: %q", len(got), want, got[:min(len(got), 12)])
		}
		return bytes
	}
	entries, err := list(ctx, p, nebula.Filter{Tags: map[string]string{"half": "1"}})
	if err != nil || len(entries) != many/2 {
		t.Fatalf("%d entries of the tag, %v", len(entries), err)
	}
	bytes := calls(1 + many/2/500)
	if each := bytes / (many / 2); each > 2048 {
		t.Errorf("%d bytes for each entry, of a value of %d", each, value)
	}
	t.Logf("%d entries by a tag: %d pages, %d bytes each, where a record has more than %d", many/2, many/2/500, bytes/(many/2), value)
	// A tag that cannot be a label is compared here, so the provider looks at all
	// credentials.
	entries, err = list(ctx, p, nebula.Filter{Tags: map[string]string{"no label!": "7"}})
	if err != nil || len(entries) != many/10 {
		t.Errorf("%d entries of the tag that is not a label, %v", len(entries), err)
	}
	calls(many / 500)

	seen := make(map[nebula.ID]bool, many)
	var early, late uint64
	pager := p.List(ctx, nebula.Filter{})
	for pages := 1; ; pages++ {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if seen[e.ID] || e.Err != nil || e.Metadata == nil || e.Version == "" {
				t.Errorf("%+v", e)
			}
			seen[e.ID] = true
		}
		page = nil
		if late = heap(); pages == 2 {
			early = late
		}
	}
	if len(seen) != many || late > early+4<<20 {
		t.Errorf("%d listed; the heap grew from %d to %d bytes", len(seen), early, late)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func fill(t *testing.T, p nebula.Provider, many, value int) {
	t.Helper()
	text := strings.Repeat("v", value)
	next := make(chan int)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := range next {
				name, e := record(t, fmt.Sprintf("N%05d", i), text, map[string]string{"half": fmt.Sprint(i % 2), "no label!": fmt.Sprint(i % 10)})
				if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range many {
		next <- i
	}
	close(next)
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// The server forgets its snapshot in the middle: with a token to continue, as a real
// server sends, and without one. A credential that was there all the time is listed
// once.
func TestLiveListExpired(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	const many = 1200
	fill(t, p, many, 1)
	for what, status := range map[string]string{
		"without a token": `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"metadata":{}}`,
		"with a token":    `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"metadata":{"continue":"TOKEN"}}`,
	} {
		seen := make(map[nebula.ID]int)
		expired := 0
		var forgotten int64 // the newest state from which no list can continue
		wire.set(func(r *http.Request) (*http.Response, error) {
			token := r.URL.Query().Get("continue")
			if r.URL.Path != secretsOf(c) || token == "" {
				return nil, nil
			}
			newest, revision := newestState(t, token)
			if forgotten == 0 {
				forgotten = revision
			}
			if revision < 0 || revision > forgotten {
				return nil, nil
			}
			expired++
			body := strings.Replace(status, "TOKEN", newest, 1)
			return &http.Response{StatusCode: http.StatusGone, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}, nil)
		added := 0
		pager := p.List(ctx, nebula.Filter{})
		for {
			page, err := pager.NextPage(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, e := range page {
				seen[e.ID]++
			}
			// The state changes each time.
			name, e := record(t, fmt.Sprintf("A%d-%d", added, len(what)), "v", nil)
			if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
			added++
		}
		wire.set(nil, nil)
		for i := range many {
			if n := seen[nebula.ID(fmt.Sprintf("N%05d", i))]; n != 1 {
				t.Fatalf("%s: N%05d is listed %d times", what, i, n)
			}
		}
		if expired != 1 {
			t.Errorf("%s: the list expired %d times, want once", what, expired)
		}
	}
}

// newestState turns a continue token into the one that the server gives with a 410:
// for the same place in the newest state. It also returns the revision of the token.
func newestState(t *testing.T, token string) (newest string, revision int64) {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(token)
	var state struct {
		Version  string `json:"v"`
		Revision int64  `json:"rv"`
		Start    string `json:"start"`
	}
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err != nil {
		t.Fatal(err)
	}
	revision, state.Revision = state.Revision, -1
	data, err = json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(data), revision
}

// If an answer is lost on the way, it is unclear whether the write was done. It is
// repeated, and ends as one write and as a success.
func TestLiveLostAnswers(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	name, e := record(t, "lost", "first", nil)
	v, err := p.Store(ctx, name, e, nebula.StoreOptions{}) // so that the server has answered once
	if err != nil {
		t.Fatal(err)
	}
	for what, condition := range map[string]func() nebula.Precondition{
		"anyway": func() nebula.Precondition { return nebula.Precondition{} },
		"over":   func() nebula.Precondition { return nebula.IfVersion(v) },
		"new": func() nebula.Precondition {
			if err := remove(ctx, p, name); err != nil {
				t.Fatal(err)
			}
			return nebula.Precondition{}
		},
		"absent": func() nebula.Precondition {
			if err := remove(ctx, p, name); err != nil {
				t.Fatal(err)
			}
			return nebula.IfAbsent()
		},
	} {
		asked := condition()
		lost := 0
		var mu sync.Mutex
		var written []nebula.Version
		wire.set(nil, func(r *http.Request) error {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodGet || lost == 2 {
				return nil
			}
			lost++
			// This is what another process sees after each attempt.
			if other, err := liveOther(t, c, name); err == nil {
				written = append(written, other)
			}
			return io.ErrUnexpectedEOF
		})
		_, e := record(t, "lost", what, map[string]string{"what": what})
		v, err = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: asked})
		wire.set(nil, nil)
		want := 2
		if what == "anyway" {
			want = 1 // the stored record shows that it was done
		}
		if err != nil || lost != want {
			t.Fatalf("%s: %v, %d answers were lost", what, err, lost)
		}
		got, err := p.Retrieve(ctx, name)
		if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) || got.Version != v {
			t.Errorf("%s: version %q, reported %q, %v", what, got.Version, v, err)
		}
		if what == "new" && len(written) == 1 {
			written = append(written, v) // the first attempt only looked
		}
		for _, w := range written {
			if w != v {
				t.Errorf("%s: it was written as %q and again as %q", what, written, v)
			}
		}
	}
}

// liveOther reads without the transport that loses answers.
func liveOther(t *testing.T, c kubernetes.Config, name nebula.Name) (nebula.Version, error) {
	c.Transport = nil
	r, err := open(t, c).Retrieve(t.Context(), name)
	return r.Version, err
}

// 429 with Retry-After, and 503: each attempt of the policy is one request. The
// provider obeys the server's pause, and gives up if the pause is longer than the
// longest delay.
func TestLiveThrottled(t *testing.T) {
	s := livetest.Kubernetes(t)
	wire := &recorder{inner: transport(t, s)}
	c := liveConfig(t, s, s.Namespace(t))
	c.Transport = wire
	c.Retry = provider.RetryPolicy{MaxRetries: 4, BaseDelayMS: 10, MaxDelayMS: 5000, Multiplier: 2}
	clock := &stillClock{now: time.Now()}
	p := open(t, c, provider.WithClock(clock))
	name, e := record(t, "t", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status   int
		after    string
		attempts int
		longest  time.Duration
	}{
		{429, "1", 5, time.Second}, {503, "2", 5, 2 * time.Second}, {429, "", 5, 80 * time.Millisecond}, {429, "60", 1, 0}, {500, "1", 5, time.Second},
	} {
		for op, call := range map[string]func(context.Context) error{
			"retrieve": func(ctx context.Context) error { _, err := p.Retrieve(ctx, name); return err },
			"store": func(ctx context.Context) error {
				_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
				return err
			},
		} {
			wire.set(func(r *http.Request) (*http.Response, error) {
				h := http.Header{"Content-Type": {"application/json"}}
				if test.after != "" {
					h.Set("Retry-After", test.after)
				}
				return &http.Response{StatusCode: test.status, Header: h, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
			}, nil)
			wire.since()
			clock.longest = 0
			err := call(t.Context())
			wire.set(nil, nil)
			wants(t, err, nebula.ErrUnavailable)
			if calls, _ := wire.since(); len(calls) != test.attempts || clock.longest != test.longest {
				t.Errorf("%s, %d, Retry-After %q: %d attempts and waits of %v, want %d and %v", op, test.status, test.after,
					len(calls), clock.longest, test.attempts, test.longest)
			}
			var status *kubernetes.StatusError
			if !errors.As(err, &status) || status.Code != test.status {
				t.Errorf("the server's answer cannot be found in the error: %v", err)
			}
		}
	}
}

// stillClock does not wait.
type stillClock struct {
	now     time.Time
	longest time.Duration
}

func (c *stillClock) Now() time.Time  { return c.now }
func (c *stillClock) Random() float64 { return 0.5 }
func (c *stillClock) Sleep(ctx context.Context, d time.Duration) error {
	c.longest = max(c.longest, d)
	return ctx.Err()
}

// One call for 500 reads many. If they do not fit one answer, several calls do it. A
// credential that lost its label is found, too.
func TestLiveBatch(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	const many = 600
	fill(t, p, many, 40)
	batch, ok := nebula.As[nebula.BatchRetriever](p)
	if !ok {
		t.Fatal("there are no batches")
	}
	names := make([]nebula.Name, many)
	for i := range names {
		names[i], _ = record(t, fmt.Sprintf("N%05d", i), "", nil)
	}
	read := func(names []nebula.Name) {
		t.Helper()
		results, err := batch.RetrieveBatch(ctx, names)
		if err != nil || len(results) != len(names) {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for i, r := range results {
			if r.Err != nil || r.Record.Version == "" {
				t.Errorf("result %d: %v", i, r.Err)
			}
		}
	}
	wire.since()
	read(names)
	if calls, _ := wire.since(); len(calls) != 2 {
		t.Errorf("%d calls for %d", len(calls), many)
	}
	failed := 0
	wire.set(func(r *http.Request) (*http.Response, error) {
		if failed++; failed == 1 {
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r}, nil
		}
		return nil, nil
	}, nil)
	read(names)
	wire.set(nil, nil)
	wire.since()
	livetest.Kubernetes(t).API(t, http.MethodPatch, strings.TrimPrefix(secretsOf(c), "/")+"/nebula-cred--4e00007",
		map[string]any{"metadata": map[string]any{"labels": map[string]any{"nebula-credential/key": nil}}})
	read(names[:10])
	if calls, _ := wire.since(); len(calls) != 2 || !strings.HasSuffix(calls[1], "/nebula-cred--4e00007") {
		t.Errorf("with a label removed: %q", calls)
	}
	var large []nebula.Name
	for i := range 8 {
		name, e := record(t, fmt.Sprintf("large%d", i), strings.Repeat("v", 700_000), nil)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		large = append(large, name)
	}
	wire.since()
	read(large)
	if calls, _ := wire.since(); len(calls) != 1+2+4 {
		t.Errorf("%d calls for %d large ones: %q", len(calls), len(large), calls)
	}
}
