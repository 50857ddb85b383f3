package faultproxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
)

// server remembers its requests.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

const answerBody = "an answer that is long enough to have a middle"

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		s.mu.Unlock()
		w.Header().Set("X-Host", r.Host)
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, answerBody)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// leavesNothing fails the test if a goroutine of a proxy remains after all other
// clean-ups.
func leavesNothing(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var stacks strings.Builder
		for range 100 {
			stacks.Reset()
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			if !strings.Contains(stacks.String(), "testing/faultproxy.") && !strings.Contains(stacks.String(), "http.(*conn).serve") {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", stacks.String())
	})
}

func client(t *testing.T, p *faultproxy.Proxy, http2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.CAPool()}, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func start(t *testing.T, s *server, o faultproxy.Options) *faultproxy.Proxy {
	t.Helper()
	o.Target, o.TargetTLS, o.TLS = s.URL, &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, true
	return faultproxy.Start(t, o)
}

type result struct {
	status int
	header http.Header
	body   string
	err    error
}

func ask(ctx context.Context, c *http.Client, method, address, body string) result {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	response, err := c.Do(request)
	if err != nil {
		return result{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return result{response.StatusCode, response.Header, string(text), err}
}

// protocols runs the test with both versions of HTTP.
func protocols(t *testing.T, test func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client)) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", http2), func(t *testing.T) {
			leavesNothing(t)
			s := newServer(t)
			p := start(t, s, faultproxy.Options{HTTP1: !http2})
			test(t, s, p, client(t, p, http2))
			want := "HTTP/1.1"
			if http2 {
				want = "HTTP/2.0"
			}
			for _, e := range p.Events() {
				if e.Proto != want {
					t.Errorf("%s came by %s", e.Path, e.Proto)
				}
			}
		})
	}
}

func TestForwards(t *testing.T) {
	protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client) {
		got := ask(t.Context(), c, http.MethodPut, p.URL()+"/a%2Fb?c=d", "body")
		if got.err != nil || got.status != 200 || got.body != answerBody || got.header.Get("X-Host") != p.Address() {
			t.Errorf("%+v: %v", got, got.err)
		}
		if seen := s.requests(); !slices.Equal(seen, []string{"PUT /a%2Fb?c=d body"}) {
			t.Errorf("%q", seen)
		}
		p.Wants(t, faultproxy.KindNone, 1)
		if p.Faults() != 0 || p.Connections() != 1 {
			t.Errorf("%d faults, %d connections", p.Faults(), p.Connections())
		}
	})
}

// An answer without a body is an answer.
func TestForwardsNoContent(t *testing.T) {
	protocols(t, func(t *testing.T, _ *server, p *faultproxy.Proxy, c *http.Client) {
		if got := ask(t.Context(), c, http.MethodDelete, p.URL()+"/a", ""); got.err != nil || got.status != http.StatusNoContent || got.body != "" {
			t.Errorf("%+v: %v", got, got.err)
		}
	})
}

// The table shows how each fault looks to the client, and whether the server saw the
// request.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault faultproxy.Fault
		seen  int
		want  func(result) bool
	}{
		{faultproxy.Latency(time.Millisecond), 1, func(r result) bool { return r.body == answerBody }},
		{faultproxy.ResetBefore(), 0, isReset},
		{faultproxy.ResetAfter(), 1, isReset},
		{faultproxy.Cut(), 1, func(r result) bool {
			return r.status == 200 && r.err != nil && r.body == answerBody[:len(answerBody)/2]
		}},
		{faultproxy.Answer(503, "7").WithBody("text/plain", "no"), 0, func(r result) bool {
			return r.status == 503 && r.header.Get("Retry-After") == "7" && r.header.Get("Content-Type") == "text/plain" && r.body == "no"
		}},
		{faultproxy.AnswerAfter(500).WithBody("text/plain", "no"), 1, func(r result) bool { return r.status == 500 && r.body == "no" }},
		{faultproxy.Answer(429, ""), 0, func(r result) bool {
			_, there := r.header["Retry-After"]
			return r.status == 429 && !there
		}},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, client *http.Client) {
				p.Add(faultproxy.Rule{Times: 1, Fault: c.fault})
				if got := ask(t.Context(), client, http.MethodPost, p.URL(), "x"); !c.want(got) {
					t.Errorf("%+v: %v", got, got.err)
				}
				if n := len(s.requests()); n != c.seen {
					t.Errorf("the server saw %d requests", n)
				}
				p.Wants(t, c.fault.Kind, 1)
				if got := ask(t.Context(), client, http.MethodPost, p.URL(), "x"); got.body != answerBody {
					t.Errorf("the next one: %+v", got)
				}
				if status := p.Events()[0].Status; status != 200*c.seen {
					t.Errorf("the log has the server's status %d", status)
				}
			})
		})
	}
}

// isReset reports whether a reset ended the request. The kernel decides which of a
// client's calls sees the reset. The others see an end, or a pipe without a reader.
func isReset(r result) bool {
	return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, syscall.EPIPE) ||
		errors.Is(r.err, io.EOF) || errors.Is(r.err, io.ErrUnexpectedEOF)
}

// If a connection went dead, it is dead for every request on it, and a new one works.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		fault faultproxy.Fault
		seen  int
	}{{faultproxy.Silence(), 0}, {faultproxy.SilenceAfter(), 1}} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, client *http.Client) {
				p.Add(faultproxy.Rule{Times: 1, Fault: c.fault})
				if got := given(t, 200*time.Millisecond, client, p.URL()); !errors.Is(got.err, context.DeadlineExceeded) {
					t.Errorf("%+v: %v", got, got.err)
				}
				if n := len(s.requests()); n != c.seen {
					t.Errorf("the server saw %d requests", n)
				}
				client.Transport.(*http.Transport).CloseIdleConnections()
				if got := ask(t.Context(), fresh(t, p, client), http.MethodGet, p.URL(), ""); got.body != answerBody {
					t.Errorf("a new connection: %+v", got)
				}
			})
		})
	}
}

func given(t *testing.T, limit time.Duration, c *http.Client, address string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return ask(ctx, c, http.MethodPost, address, "x")
}

// fresh returns a client like c, without its connections.
func fresh(t *testing.T, p *faultproxy.Proxy, c *http.Client) *http.Client {
	t.Helper()
	return client(t, p, c.Transport.(*http.Transport).ForceAttemptHTTP2)
}

// HTTP/2 keeps using a connection that went dead. That is what this fault is for.
func TestDeadConnectionIsUsedAgain(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	p := start(t, s, faultproxy.Options{})
	c := client(t, p, true)
	if got := ask(t.Context(), c, http.MethodGet, p.URL(), ""); got.err != nil {
		t.Fatal(got.err)
	}
	if n := p.Drop(); n != 1 {
		t.Fatalf("%d connections went dead", n)
	}
	for range 3 {
		if got := given(t, 100*time.Millisecond, c, p.URL()); got.err == nil {
			t.Errorf("an answer: %+v", got)
		}
	}
	if p.Connections() != 1 || len(p.Events()) != 1 || len(s.requests()) != 1 {
		t.Errorf("%d connections, %d requests, %d of them at the server", p.Connections(), len(p.Events()), len(s.requests()))
	}
	if got := ask(t.Context(), fresh(t, p, c), http.MethodGet, p.URL(), ""); got.body != answerBody {
		t.Errorf("a new connection: %+v", got)
	}
}

func TestNextConnections(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	p := start(t, s, faultproxy.Options{})
	p.SilenceNext(1)
	p.ResetNext(1)
	if got := given(t, 200*time.Millisecond, client(t, p, true), p.URL()); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("silence: %+v", got)
	}
	if got := given(t, time.Minute, client(t, p, true), p.URL()); !isReset(got) {
		t.Errorf("reset: %+v", got)
	}
	if got := given(t, time.Minute, client(t, p, true), p.URL()); got.body != answerBody {
		t.Errorf("the third: %+v", got)
	}
}

// A request that is delivered late arrives after a later one that was answered.
func TestLate(t *testing.T) {
	protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client) {
		p.Add(faultproxy.Rule{Method: http.MethodDelete, Times: 2, Fault: faultproxy.Late(0)})
		for i := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if got := ask(ctx, c, http.MethodDelete, fmt.Sprint(p.URL(), "/", i), ""); got.err == nil {
				t.Errorf("an answer: %+v", got)
			}
			cancel()
		}
		if got := ask(t.Context(), c, http.MethodPut, p.URL()+"/", "new"); got.err != nil {
			t.Error(got.err)
		}
		if held, released := p.Held(), p.Release(); held != 2 || released != 2 || p.Held() != 0 {
			t.Errorf("%d held, %d released", held, released)
		}
		if seen := s.requests(); !slices.Equal(seen, []string{"PUT / new", "DELETE /0 ", "DELETE /1 "}) {
			t.Errorf("%q", seen)
		}
		p.Wants(t, faultproxy.KindLate, 2)
	})
}

func TestLateByItself(t *testing.T) {
	protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client) {
		p.Add(faultproxy.Rule{Fault: faultproxy.Late(10 * time.Millisecond)})
		if got := given(t, 100*time.Millisecond, c, p.URL()); got.err == nil {
			t.Errorf("an answer: %+v", got)
		}
		for deadline := time.Now().Add(10 * time.Second); len(s.requests()) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the request never arrived")
			}
		}
	})
}

func TestRules(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	p := start(t, s, faultproxy.Options{})
	c := client(t, p, true)
	p.Add(faultproxy.Rule{Method: http.MethodPut, Path: "/v1/", Skip: 1, Times: 2, Fault: faultproxy.Answer(429, "")})
	remove := p.Add(faultproxy.Rule{Match: func(r *http.Request) bool { return r.Header.Get("User-Agent") != "" && r.URL.Path == "/x" }, Fault: faultproxy.Answer(503, "")})
	statuses := func(method, path string, n int) (all []int) {
		for range n {
			all = append(all, ask(t.Context(), c, method, p.URL()+path, "").status)
		}
		return all
	}
	for _, step := range []struct {
		method, path string
		want         []int
	}{
		{"PUT", "/v2/a", []int{200, 200}},
		{"GET", "/v1/a", []int{200, 200}},
		{"PUT", "/v1/a", []int{200, 429, 429, 200}},
		{"GET", "/x", []int{503, 503}},
	} {
		if got := statuses(step.method, step.path, len(step.want)); !slices.Equal(got, step.want) {
			t.Errorf("%s %s: %v, want %v", step.method, step.path, got, step.want)
		}
	}
	remove()
	if got := statuses("GET", "/x", 1); got[0] != 200 {
		t.Errorf("removed: %v", got)
	}
	p.Add(faultproxy.Rule{Fault: faultproxy.Answer(500, "")})
	p.Clear()
	if got := statuses("GET", "/x", 1); got[0] != 200 || p.Faults() != 4 {
		t.Errorf("cleared: %v, %d faults", got, p.Faults())
	}
}

// The same seed gives the same faults, about as many as the probability says.
func TestSeed(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	run := func(seed uint64) (all []int) {
		p := start(t, s, faultproxy.Options{Seed: seed})
		c := client(t, p, true)
		p.Add(faultproxy.Rule{Probability: 0.3, Fault: faultproxy.Answer(503, "")})
		for range 100 {
			all = append(all, ask(t.Context(), c, http.MethodGet, p.URL(), "").status)
		}
		if n := p.Count(faultproxy.KindAnswer); n < 10 || n > 50 {
			t.Errorf("%d of 100", n)
		}
		return all
	}
	if !slices.Equal(run(7), run(7)) {
		t.Error("the same seed gives other faults")
	}
	if slices.Equal(run(7), run(8)) {
		t.Error("another seed gives the same faults")
	}
	t.Setenv("NEBULA_FAULT_SEED", "42")
	if p := start(t, s, faultproxy.Options{}); p.Seed() != 42 {
		t.Errorf("the seed of the environment was not used: %d", p.Seed())
	}
}

// The share of requests that meet a fault is about the mix's.
func TestMix(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	p := start(t, s, faultproxy.Options{Seed: 1, HTTP1: true})
	c := client(t, p, false)
	c.Timeout = 200 * time.Millisecond
	remove := p.Add(faultproxy.Mix(0.3)...)
	for range 200 {
		ask(t.Context(), c, http.MethodPost, p.URL(), "x")
	}
	if n := p.Faults(); n < 30 || n > 90 {
		t.Errorf("%d of 200 requests met a fault", n)
	}
	remove()
	before := p.Faults()
	for range 50 {
		if got := ask(t.Context(), c, http.MethodPut, p.URL(), "x"); got.err != nil {
			t.Errorf("%+v: %v", got, got.err)
		}
	}
	if p.Faults() != before {
		t.Error("the rules are still in force after their removal")
	}
}

// Another process reaches any host through the proxy, as an HTTP proxy.
func TestConnect(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", http2), func(t *testing.T) {
			leavesNothing(t)
			s := newServer(t)
			roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			var dialled []string
			p := faultproxy.Start(t, faultproxy.Options{TargetTLS: &tls.Config{RootCAs: roots},
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					dialled = append(dialled, address)
					return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
				}})
			proxy, err := url.Parse(p.URL())
			if err != nil {
				t.Fatal(err)
			}
			c := client(t, p, http2)
			c.Transport.(*http.Transport).Proxy = http.ProxyURL(proxy)
			p.Add(faultproxy.Rule{Skip: 1, Times: 1, Fault: faultproxy.ResetAfter()})
			if got := ask(t.Context(), c, http.MethodPut, "https://example.com/a", "1"); got.body != answerBody || got.header.Get("X-Host") != "example.com" {
				t.Errorf("%+v: %v", got, got.err)
			}
			if got := ask(t.Context(), c, http.MethodPut, "https://example.com/a", "2"); !isReset(got) {
				t.Errorf("%+v: %v", got, got.err)
			}
			if len(s.requests()) != 2 || dialled[0] != "example.com:443" {
				t.Errorf("%q by %q", s.requests(), dialled)
			}
		})
	}
}

// If an answer does not end, such as a watch, its parts come through as they arrive.
func TestStreams(t *testing.T) {
	leavesNothing(t)
	more := make(chan struct{})
	s := &server{Server: httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "second")
	}))}
	t.Cleanup(s.Close)
	p := start(t, s, faultproxy.Options{})
	response, err := client(t, p, true).Get(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("first"))
	_, err = io.ReadFull(response.Body, first)
	close(more)
	if err != nil || string(first) != "first" {
		t.Errorf("%q %v", first, err)
	}
	if rest, err := io.ReadAll(response.Body); err != nil || string(rest) != "second" {
		t.Errorf("%q %v", rest, err)
	}
}

// If the server is gone, the client sees a broken connection, not an answer.
func TestServerGone(t *testing.T) {
	protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client) {
		s.Close()
		if got := ask(t.Context(), c, http.MethodGet, p.URL(), ""); got.err == nil {
			t.Errorf("%+v: %v", got, got.err)
		}
		if events := p.Events(); events[0].Err == nil {
			t.Errorf("%+v", events)
		}
	})
}

// Closing ends what is under way, whatever it waits for.
func TestClose(t *testing.T) {
	for _, fault := range []faultproxy.Fault{faultproxy.Silence(), faultproxy.Late(0), faultproxy.Late(time.Hour), faultproxy.Latency(time.Hour)} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			protocols(t, func(t *testing.T, s *server, p *faultproxy.Proxy, c *http.Client) {
				p.Add(faultproxy.Rule{Fault: fault})
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() { ask(t.Context(), c, http.MethodPost, p.URL(), "x") })
				}
				for deadline := time.Now().Add(10 * time.Second); p.Faults() == 0 && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				wg.Wait()
				if err := p.Close(); err != nil || len(s.requests()) != 0 {
					t.Errorf("closed again: %v; the server saw %q", err, s.requests())
				}
			})
		})
	}
}

func TestForms(t *testing.T) {
	now := time.Now()
	for _, form := range faultproxy.Forms(now) {
		date, err := http.ParseTime(form.Value)
		if err == nil && form.Wait > 0 && (date.Sub(now) > form.Wait || date.Sub(now) < form.Wait-time.Second) {
			t.Errorf("%s: %q is %v away", form.Name, form.Value, date.Sub(now))
		}
	}
}
