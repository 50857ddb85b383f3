package httpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

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
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	alert := says(t, "\x15\x03\x03\x00\x02\x02\x28")
	noise := says(t, "220 mail.example.com\r\n")

	client := NewClient(Options{Total: 10 * time.Second, MaxBody: 1000})
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
		{"https to a server of http", get(t.Context(), "https"+strings.TrimPrefix(plain.URL, "http")), nebula.ErrInvalidConfig, false},
		{"https to something else", get(t.Context(), "https://"+noise), nebula.ErrInvalidConfig, false},
		{"http to a server of https", get(t.Context(), "http://"+alert), nebula.ErrInvalidConfig, false},
		{"cancelled", get(gone, cutting.URL), nebula.ErrInterrupted, false},
		{"deadline", context.DeadlineExceeded, nebula.ErrTimeout, true},
		{"deadline while dialling", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, nebula.ErrTimeout, false},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere", IsNotFound: true}}, nebula.ErrUnavailable, false},
		{"too large", &TooLargeError{Limit: 1}, nebula.ErrTooLarge, false},
		{"encoded", &EncodedError{Encoding: "gzip"}, nebula.ErrInvalidConfig, false},
	} {
		e := Server{Host: "example.com", Address: "address", Authorities: "ca_cert"}.Explain(fmt.Errorf("wrapped: %w", c.err))
		if e.Kind != c.kind || errors.Is(e, provider.ErrUnclear) != c.unclear {
			t.Errorf("%s: %s, unclear %v: %v", c.what, e.Kind, errors.Is(e, provider.ErrUnclear), e)
		}
	}
}

// If a request is cancelled because another one failed, its error is not the other's.
func TestCallCancelledByAnother(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	other := errors.New("not found, says another answer")
	time.AfterFunc(50*time.Millisecond, func() { cancel(other) })
	client := NewClient(Options{Total: 10 * time.Second, MaxBody: 1000})
	if _, err := Call(ctx, client, Request{Method: http.MethodGet, URL: address}); !errors.Is(err, context.Canceled) || errors.Is(err, other) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// says returns the address of a server that sends answer to every request.
func says(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write([]byte(answer))
			}()
		}
	}()
	return listener.Addr().String()
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
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	go refuseSOCKS(closed)
	for address, want := range map[string]string{
		refusing.URL: "the proxy does not lead to example.com (status 403); look at address, HTTPS_PROXY and NO_PROXY",
		gone.URL:     "the proxy that leads to example.com cannot be reached; look at HTTPS_PROXY and NO_PROXY",

		"socks5://" + closed.Addr().String(): "the proxy does not lead to example.com; look at address, HTTPS_PROXY and NO_PROXY",
	} {
		proxy, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		response, err := NewClient(Options{Total: 10 * time.Second, MaxBody: 1000, Proxy: proxy}).Get("https://example.com")
		if err == nil {
			_ = response.Body.Close()
			t.Fatal("the proxy answered")
		}
		e := Server{Host: "example.com", Address: "address", Authorities: "ca_cert"}.Explain(err)
		if e.Kind != nebula.ErrUnavailable || errors.Is(e, provider.ErrUnclear) || e.Error() != want {
			t.Errorf("%v\nis: %v\nnot: %s", err, e, want)
		}
		named := Server{Host: "example.com", Address: "address", Proxy: proxy.Host, ProxySetting: "proxy-url"}.Explain(err)
		if !strings.Contains(named.Message, "the proxy "+proxy.Host) || !strings.Contains(named.Hint, "proxy-url") || strings.Contains(named.Error(), "HTTPS_PROXY") {
			t.Errorf("%v\nis: %v", err, named)
		}
	}
}

// refuseSOCKS is a proxy that leads nowhere: it answers that the host cannot be
// reached.
func refuseSOCKS(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		var buffer [512]byte
		for _, answer := range []string{"\x05\x00", "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00"} {
			if _, err := c.Read(buffer[:]); err != nil {
				break
			}
			_, _ = c.Write([]byte(answer))
		}
		_ = c.Close()
	}
}
