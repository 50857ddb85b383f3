package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/middleware"
)

func connected(t *testing.T) *Life {
	t.Helper()
	l := new(Life)
	if err := l.Connect(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLifeBeforeAndAfter(t *testing.T) {
	var l Life
	if err := l.Enter(t.Context()); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("not connected: %v", err)
	}
	refused := errors.New("refused")
	if err := l.Connect(t.Context(), func(context.Context) error { return refused }); err != refused {
		t.Errorf("connect: %v", err)
	}
	if l.State() != nebula.StateConfigured {
		t.Errorf("after a failed connect: %v", l.State())
	}
	calls := 0
	for range 2 {
		if err := l.Connect(t.Context(), func(context.Context) error { calls++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 1 {
		t.Errorf("connected %d times", calls)
	}
	released := 0
	for range 2 {
		l.Close(func(was bool) {
			if released++; !was {
				t.Error("it was connected")
			}
		})
	}
	if released != 1 {
		t.Errorf("released %d times", released)
	}
	if err := l.Connect(t.Context(), nil); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("connect after close: %v", err)
	}
	if err := l.Enter(t.Context()); nebula.KindOf(err) != nebula.ErrClosed {
		t.Errorf("enter after close: %v", err)
	}
}

func TestLifeClosesAfterTheOperations(t *testing.T) {
	l := connected(t)
	if err := l.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left atomic.Bool
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l.Close(func(bool) {
			if !left.Load() {
				t.Error("closed during an operation")
			}
		})
	}()
	// From when Close waits, nobody else gets in.
	for l.mu.TryRLock() {
		l.mu.RUnlock()
		runtime.Gosched()
	}
	left.Store(true)
	l.Leave()
	<-closed
	if l.State() != nebula.StateClosed {
		t.Errorf("state %v", l.State())
	}
}

// A refused operation holds nothing: Close would wait for it.
func TestLifeRefuses(t *testing.T) {
	l := connected(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"cancelled":  l.Enter(gone),
		"no name":    l.EnterFor(t.Context(), nebula.Name{}),
		"no removal": l.EnterToRemove(t.Context(), nebula.KeyringName()),
	} {
		want := nebula.ErrUsage
		if what == "cancelled" {
			want = nebula.ErrInterrupted
		}
		if nebula.KindOf(err) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	l.Close(func(bool) {})
}

func TestExplain(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := refusing.Addr().String()
	_ = refusing.Close()
	cutting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cutting.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()

	client := httpx.NewClient(httpx.Options{Total: 10 * time.Second, MaxBody: 1000})
	get := func(ctx context.Context, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err == nil {
			_ = response.Body.Close()
			t.Fatalf("%s answered", url)
		}
		return err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		what    string
		err     error
		kind    nebula.Kind
		unclear bool
	}{
		{"refused", get(t.Context(), "http://"+nobody), nebula.ErrUnavailable, false},
		{"cut off", get(t.Context(), cutting.URL), nebula.ErrUnavailable, true},
		{"certificate", get(t.Context(), untrusted.URL), nebula.ErrUnavailable, false},
		{"cancelled", get(gone, cutting.URL), nebula.ErrInterrupted, false},
		{"deadline", context.DeadlineExceeded, nebula.ErrTimeout, true},
		{"deadline while dialling", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, nebula.ErrTimeout, false},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere", IsNotFound: true}}, nebula.ErrUnavailable, false},
		{"too large", &httpx.TooLargeError{Limit: 1}, nebula.ErrTooLarge, false},
		{"encoded", &httpx.EncodedError{Encoding: "gzip"}, nebula.ErrInvalidConfig, false},
	} {
		e := Server{Host: "example.com", Address: "address", Authorities: "ca_cert"}.Explain(fmt.Errorf("wrapped: %w", c.err))
		if e.Kind != c.kind || errors.Is(e, middleware.ErrUnclear) != c.unclear {
			t.Errorf("%s: %s, unclear %v: %v", c.what, e.Kind, errors.Is(e, middleware.ErrUnclear), e)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"3": 3 * time.Second, "0": 0, "Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0, "": -1, "-1": -1, "soon": -1,
	} {
		got := RetryAfter(http.Header{"Retry-After": {value}}, now)
		switch {
		case want < 0 && got != nil:
			t.Errorf("%q: %v", value, got)
		case want >= 0 && (got == nil || got.Delay != want):
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// A proxy's failure is not the server's.
func TestExplainProxy(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refusing.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for address, want := range map[string]string{
		refusing.URL: "the proxy does not lead to example.com (status 403); look at address, HTTPS_PROXY and NO_PROXY",
		gone.URL:     "the proxy that leads to example.com cannot be reached; look at HTTPS_PROXY and NO_PROXY",
	} {
		proxy, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		response, err := httpx.NewClient(httpx.Options{Total: 10 * time.Second, MaxBody: 1000, Proxy: proxy}).Get("https://example.com")
		if err == nil {
			_ = response.Body.Close()
			t.Fatal("it answered")
		}
		e := Server{Host: "example.com", Address: "address", Authorities: "ca_cert"}.Explain(err)
		if e.Kind != nebula.ErrUnavailable || errors.Is(e, middleware.ErrUnclear) || e.Error() != want {
			t.Errorf("%v\nis: %v\nnot: %s", err, e, want)
		}
	}
}
