package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// serving runs a server at an address until the test ends, or until the returned
// function is called.
func serving(t *testing.T, address string, certificate *Certificate, s *Server) (l *Listener, stop func()) {
	t.Helper()
	l, err := Listen(t.Context(), address, certificate)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, Site{Listener: l}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

const loopback = "127.0.0.1:0"

func ok() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
}

// held is a handler whose requests wait until they are released or told to end.
type held struct {
	began   chan struct{}
	release chan struct{}
	told    atomic.Int64
}

func hold() *held { return &held{began: make(chan struct{}, 100), release: make(chan struct{})} }

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.began <- struct{}{}
	select {
	case <-h.release:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
		h.told.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// get returns the status and the body, or the error.
func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.Status + " " + string(body), err
}

// When the server is told to end, it finishes the request under way and accepts no other.
func TestDrain(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	h := hold()
	l, stop := serving(t, loopback, nil, &Server{Handler: h, Drain: time.Minute})
	client := &http.Client{Transport: &http.Transport{}}
	answers := make(chan string, 1)
	go func() {
		text, err := get(client, l.URL())
		answers <- text + " " + errText(err)
	}()
	<-h.began
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case <-stopped:
		t.Fatal("the server did not wait for the request")
	default:
	}
	close(h.release)
	if got := <-answers; got != "200 OK done " {
		t.Errorf("the request that was being served got %q", got)
	}
	<-stopped
	if h.told.Load() != 0 {
		t.Error("the request was told to end")
	}
	client.CloseIdleConnections()
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A request that does not end within the bound is told to end, and can still answer.
func TestDrainIsBounded(t *testing.T) {
	h := hold()
	l, stop := serving(t, loopback, nil, &Server{Handler: h, Drain: 50 * time.Millisecond})
	answers := make(chan string, 1)
	go func() {
		text, err := get(http.DefaultClient, l.URL())
		answers <- text + errText(err)
	}()
	<-h.began
	stop()
	if got := <-answers; !strings.HasPrefix(got, "503") || h.told.Load() != 1 {
		t.Errorf("got %q, told %d", got, h.told.Load())
	}
}

// If one listener fails, all of them end, with its error.
func TestListenerFails(t *testing.T) {
	first, err := Listen(t.Context(), loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Listen(t.Context(), loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
	err = (&Server{Handler: ok()}).Serve(t.Context(), Site{Listener: first}, Site{Listener: second})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := get(http.DefaultClient, first.URL()); err == nil {
		t.Error("the other listener goes on")
	}
}

// Several listeners may serve different things.
func TestSites(t *testing.T) {
	var sites []Site
	for _, text := range []string{"", "other"} {
		l, err := Listen(t.Context(), loopback, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := Site{Listener: l}
		if text != "" {
			s.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
		}
		sites = append(sites, s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Handler: ok()}).Serve(ctx, sites...) }()
	for i, want := range []string{"200 OK ok", "200 OK other"} {
		if got, err := get(http.DefaultClient, sites[i].URL()); got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// If a header is too large, HTTP/1.1 gets an answer, and HTTP/2 a closed connection.
func TestLargeHeader(t *testing.T) {
	certificate, client := certified(t)
	for name, test := range map[string]struct {
		certificate *Certificate
		client      *http.Client
	}{"HTTP/1.1": {nil, http.DefaultClient}, "HTTP/2": {certificate, client}} {
		l, _ := serving(t, loopback, test.certificate, &Server{Handler: ok()})
		for fields, want := range map[int]int{12: 200, 24: 431} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range fields {
				request.Header.Set(fmt.Sprint("X-", i), strings.Repeat("a", 4<<10))
			}
			response, err := test.client.Do(request)
			if test.certificate != nil && want == 431 {
				if err == nil {
					t.Errorf("%s, %d: served", name, fields)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s, %d: %v", name, fields, err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s, %d: %s", name, fields, response.Status)
			}
		}
	}
}

// The work for a request may take longer than its body. If the body does not come,
// reading it ends with a timeout.
func TestTimes(t *testing.T) {
	type read struct {
		err  error
		told bool
	}
	reads := make(chan read, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadlines := http.NewResponseController(w)
		if err := deadlines.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		_, err := io.ReadAll(r.Body)
		time.Sleep(200 * time.Millisecond)
		reads <- read{err, r.Context().Err() != nil}
	})
	certificate, client := certified(t)
	over2, _ := serving(t, loopback, certificate, &Server{Handler: h})
	l, _ := serving(t, loopback, nil, &Server{Handler: h})
	for _, url := range []string{l.URL(), over2.URL()} {
		response, err := client.Post(url, "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := <-reads; got.err != nil || got.told {
			t.Errorf("%s: a body that came: %+v", response.Proto, got)
		}
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbo")
	if got := <-reads; !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Errorf("a body that did not come: %+v", got)
	}
}

// A client has its full time for each part of an answer, however long the request took.
func TestDeadlineOfEachWrite(t *testing.T) {
	var seen []string
	w := &recorder{note: func(what string) { seen = append(seen, what) }}
	h := timed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "x")
		_, _ = io.WriteString(w, "y")
	}))
	h.ServeHTTP(w, nil)
	if got := strings.Join(seen, " "); got != "1m0s 1m0s" {
		t.Errorf("got %s", got)
	}
}

// recorder notes the deadlines that are set.
type recorder struct{ note func(string) }

func (*recorder) Header() http.Header         { return http.Header{} }
func (*recorder) Write(p []byte) (int, error) { return len(p), nil }
func (*recorder) WriteHeader(int)             {}
func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.note(time.Until(t).Round(time.Minute).String())
	return nil
}
