package azure_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
)

// hostile returns a provider whose vault is the handler, and whose login is the test
// server.
func hostile(t *testing.T, handler http.HandlerFunc) (nebula.Provider, nebula.Name) {
	t.Helper()
	r := newRig(t)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	c := r.principal()
	c.Timeout, c.Retry.MaxRetries = time.Second, 0
	c.Transport = &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // each server has its own authority
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			if strings.HasSuffix(to, ".vault.azure.net:443") {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			return r.Server.DialContext(ctx, network, to)
		},
	}
	name, _ := record(t, "x", "", nil)
	return r.open(t, c), name
}

// refuses checks the kind of a failure, and that the error shows no token.
func refuses(t *testing.T, p nebula.Provider, name nebula.Name, kind nebula.Kind) {
	t.Helper()
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, kind)
	if err != nil && strings.Contains(err.Error(), "eyJ") { // as every token begins
		t.Errorf("the error shows the token: %v", err)
	}
}

func TestSilentServer(t *testing.T) {
	p, name := hostile(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	refuses(t, p, name, nebula.ErrTimeout)
}

func TestEndlessServer(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"value":"`)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	refuses(t, p, name, nebula.ErrTimeout)
}

// An answer of 300 MiB is not read: plain or packed, with or without a length, or as
// an error.
func TestHugeServer(t *testing.T) {
	const size = 300 << 20
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	send := func(w io.Writer) {
		for range size >> 20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	for what, handler := range map[string]http.HandlerFunc{
		"undeclared": func(w http.ResponseWriter, _ *http.Request) { send(w) },
		"declared": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			send(w)
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden); send(w) },
	} {
		p, name := hostile(t, handler)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		refuses(t, p, name, nebula.ErrTooLarge)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", what, grown>>20)
		}
	}
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(chunk)
	_ = z.Close()
	packed := bytes.Repeat(member.Bytes(), size>>20) // members in a row are one file
	p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	refuses(t, p, name, nebula.ErrInvalidConfig)
}

func TestForeignServer(t *testing.T) {
	for what, body := range map[string]string{
		"a page": "<html>hello</html>", "other JSON": `[1]`, "deep JSON": strings.Repeat("[", 100_000),
		"nothing": "", "an empty object": "{}", "another type": `{"id":7}`, "no value": `{"id":"https://h/secrets/nebula-credentials-x/0123456789abcdef0123456789abcdef"}`,
		"no id": `{"value":"x"}`, "a short id": `{"id":"x","value":"x"}`, "no version": `{"id":"https://h/secrets/nebula-credentials-x","value":"x"}`,
		"another secret": `{"id":"https://h/secrets/other/0123456789abcdef0123456789abcdef","value":"x"}`,
	} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		t.Run(what, func(t *testing.T) { refuses(t, p, name, nebula.ErrInvalidConfig) })
	}
}

// Lists of nonsense are empty, and no list ends the process.
func TestForeignList(t *testing.T) {
	for _, body := range []string{
		`{"value":[null,{},{"id":""},{"id":"x","tags":{}},{"id":"https://h/secrets/","tags":{"nebula-":"{}"}}],"nextLink":null}`,
		`{"value":null,"nextLink":""}`, `{}`,
		`{"value":[{"id":"https://h/secrets/nebula-credentials-nothex-x","tags":{"nebula-":null}}]}`,
	} {
		p, _ := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		pager := p.List(t.Context(), nebula.Filter{})
		if entries, err := pager.NextPage(t.Context()); err != nil || len(entries) != 0 {
			t.Errorf("%s: %v, %v", body, entries, err)
		}
		historian, _ := nebula.As[nebula.Historian](p)
		name, _ := record(t, "x", "", nil)
		if _, err := historian.History(t.Context(), name); err == nil {
			t.Errorf("%s is a history", body)
		}
	}
}

// A list whose next page is on another host is not followed: that host gets no token.
func TestListElsewhere(t *testing.T) {
	var seen atomic.Int32
	for _, link := range []string{"https://evil.vault.azure.net/secrets?x=1", "http://test/secrets", "https://evil.example:443/secrets",
		"https://HOST:8443/secrets", "https://HOST@evil.example/secrets", "\x00", "%zz"} {
		p, _ := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			if seen.Add(1) > 1 {
				t.Errorf("%s was followed to %s%s", link, r.Host, r.URL)
			}
			fmt.Fprintf(w, `{"value":[],"nextLink":%q}`, strings.ReplaceAll(link, "HOST", r.Host))
		})
		seen.Store(0)
		err := pages(t.Context(), p, nebula.Filter{})
		if err == nil || nebula.KindOf(err) != nebula.ErrInvalidConfig {
			t.Errorf("%s: %v", link, err)
		}
	}
}

// A list whose next page is the same page is refused: it would never end.
func TestListInCircles(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/nebula-credentials-x/") {
			fmt.Fprint(w, `{"id":"https://h/secrets/nebula-credentials-x/0123456789abcdef0123456789abcdef","value":"x"}`)
			return
		}
		fmt.Fprint(w, `{"value":[],"nextLink":"/secrets?x=1"}`)
	})
	wants(t, pages(t.Context(), p, nebula.Filter{}), nebula.ErrInvalidConfig)
	historian, _ := nebula.As[nebula.Historian](p)
	_, err := historian.History(t.Context(), name)
	wants(t, err, nebula.ErrInvalidConfig)
}

// No error shows what the server says, and no wrapped error shows the token.
func TestEchoingServer(t *testing.T) {
	for _, status := range []int{200, 204, 400, 401, 403, 404, 405, 409, 413, 429, 500, 501, 502, 503, 504} {
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"code":"canary %[1]s","message":"canary %[1]s","innererror":{"code":"canary"}}}`, r.Header.Get("Authorization"))
		})
		_, err := p.Retrieve(t.Context(), name)
		if err == nil || nebula.KindOf(err) == "" {
			t.Errorf("%d: %v", status, err)
		}
		for _, cause := range causes(err) {
			if text := fmt.Sprintf("%v %+v", cause, cause); strings.Contains(text, "eyJ") || strings.Contains(text, "canary") {
				t.Errorf("%d: %T shows %s", status, cause, text)
			}
		}
	}
}

// causes returns an error and every error that it wraps.
func causes(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch wrapping := err.(type) {
	case interface{ Unwrap() error }:
		all = append(all, causes(wrapping.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, cause := range wrapping.Unwrap() {
			all = append(all, causes(cause)...)
		}
	}
	return all
}

// A throttled call makes the attempts of the policy. If the server asks for a pause,
// the provider obeys, or fails at once if the pause is too long.
func TestLiveThrottled(t *testing.T) {
	for _, c := range []struct {
		after    string
		retries  int
		attempts int
		slept    time.Duration
	}{
		{"", 5, 6, 3 * time.Second}, // 100, 200, 400, 800 and 1600 ms
		{"7", 2, 3, 14 * time.Second},
		{"3600", 5, 1, 0},
	} {
		r := newRig(t)
		config, wire := r.recorded()
		config.Retry.MaxRetries = c.retries
		p := r.open(t, config)
		if err := exists(t, p); err != nil {
			t.Fatal(err)
		}
		wire.since()
		throttled := azureserver.Throttled()
		throttled.RetryAfter = c.after
		r.Inject(throttled)
		began := r.clock.ahead.Load()
		name, e := record(t, "x", "v", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnavailable, "429")
		if n := len(wire.since()); n != c.attempts {
			t.Errorf("Retry-After %q: %d attempts, want %d", c.after, n, c.attempts)
		}
		if slept := time.Duration(r.clock.ahead.Load() - began); slept < c.slept {
			t.Errorf("Retry-After %q: it slept %v, want %v", c.after, slept, c.slept)
		}
		_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Previous: e})
		wants(t, err, nebula.ErrUnavailable, "429")
		if n := len(wire.since()); n != c.attempts {
			t.Errorf("Retry-After %q: %d attempts to write, want %d", c.after, n, c.attempts)
		}
	}
}

// In the first call of a process a refusal is reported at once.
func TestFirstCall(t *testing.T) {
	r := newRig(t)
	inner := r.Server.Transport()
	calls := 0
	c := r.principal()
	c.Transport = roundTripper(func(request *http.Request) (*http.Response, error) {
		if strings.HasSuffix(request.URL.Host, ".vault.azure.net") {
			calls++
			return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("refused")}
		}
		return inner.RoundTrip(request)
	})
	wants(t, exists(t, r.open(t, c)), nebula.ErrUnavailable, "cannot be reached", "vault_url")
	if calls != 1 {
		t.Errorf("%d attempts", calls)
	}
}

// Connections break under load, before and after the server did its work. Each
// acknowledged write is stored, as one version.
func TestLiveOutage(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	metrics := new(provider.StorageMetrics)
	p := r.open(t, c, provider.WithMetrics(metrics))
	if err := exists(t, p); err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 12
	for i := range 20 {
		f := azureserver.Fault{Operation: azureserver.SetSecret, After: 4 * i, Times: 1}
		switch i % 3 {
		case 0:
			f.CutBefore = true
		case 1:
			f.CutAfter = true
		default:
			f.Status = 503
		}
		r.Inject(f)
	}
	done := make(chan string, writers)
	for i := range writers {
		go func() {
			id := fmt.Sprintf("w%d", i)
			for j := range each {
				name, e := record(t, id, fmt.Sprint(j), nil)
				if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			done <- id
		}()
	}
	historian, _ := nebula.As[nebula.Historian](p)
	for range writers {
		id := <-done
		name, _ := record(t, id, "", nil)
		history, err := historian.History(t.Context(), name)
		if err != nil || len(history) != each {
			t.Errorf("%s: %d versions after %d writes, %v", id, len(history), each, err)
		}
	}
	if metrics.RetryCount() < 10 {
		t.Errorf("%d retries: the outages hit no call", metrics.RetryCount())
	}
}

// If two writers have the same condition, one is refused, unless they write at the
// very same time. Even then, the stored record is whole.
func TestLiveTwoWriters(t *testing.T) {
	r := newRig(t)
	one, other := r.open(t, r.principal()), r.open(t, r.principal())
	ctx := t.Context()
	name, first := record(t, "race", "first", nil)
	v, err := one.Store(ctx, name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, second := record(t, "race", "second", nil)
	_, third := record(t, "race", "third", nil)
	type outcome struct {
		p   nebula.Provider
		e   *nebula.Envelope
		err error
	}
	outcomes := make(chan outcome, 2)
	for p, e := range map[nebula.Provider]*nebula.Envelope{one: second, other: third} {
		go func() {
			_, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
			outcomes <- outcome{p, e, err}
		}()
	}
	won := make(map[string]bool)
	for range 2 {
		if o := <-outcomes; o.err == nil {
			won[string(o.e.Bytes())] = true
		} else {
			wants(t, o.err, nebula.ErrConflict)
		}
	}
	got, err := one.Retrieve(ctx, name)
	if err != nil || !won[string(got.Envelope.Bytes())] {
		t.Errorf("%d won, and another record is there: %v", len(won), err)
	}
	_, err = other.Store(ctx, name, first, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wants(t, err, nebula.ErrConflict)
}

// Close ends what runs in the background, and waits for it.
func TestLiveCloseEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t)
	transport := r.Server.Transport()
	c := r.principal()
	c.Transport = transport
	p := r.open(t, c)
	remove := r.Server.Inject(azureserver.Fault{Operation: azureserver.SetSecret, Delay: 100 * time.Millisecond})
	name, e := record(t, "x", "v", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Previous: e}); err == nil {
		t.Error("the store was not cut off")
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Close(); err != nil {
		t.Error(err)
	}
	remove()
	transport.CloseIdleConnections()
	r.Server.Close()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), before)
}

// If the answer to a write names no version, Key Vault has not stored it.
func TestForeignAnswerToAWrite(t *testing.T) {
	for _, answer := range []string{`{}`, `{"id":"x"}`, `{"id":"https://v.vault.azure.net/secrets/name"}`, `{"id":"https://v.vault.azure.net/keys/name/0123"}`} {
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodPut {
				fmt.Fprint(w, answer)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"SecretNotFound","message":"none"}}`)
		})
		_, e := record(t, name.String(), "v", nil)
		v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrInvalidConfig, "is not Azure Key Vault")
		if v != "" {
			t.Errorf("%s gave version %q", answer, v)
		}
	}
}
