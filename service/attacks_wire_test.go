package service_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/service/token"
)

// If a proxy may see another end of a request, the request is refused, or its connection
// ends. What follows, perhaps another client's request, is never answered.
func TestAttackSmuggling(t *testing.T) {
	a := attack(t)
	a.eachRaw(t, func(t *testing.T, s *site) {
		put := "PUT " + at("a") + " HTTP/1.1\r\n" + s.login() + "Content-Type: application/octet-stream\r\n"
		old := strings.Replace(put, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n"
		chunked := put + "Transfer-Encoding: chunked\r\n\r\n"
		const body = "1\r\nx\r\n0\r\n\r\n"
		next := "DELETE " + at("victim") + " HTTP/1.1\r\n" + s.login() + "\r\n" +
			"GET /healthz HTTP/1.1\r\nHost: " + s.host + "\r\nConnection: close\r\n\r\n"
		for what, c := range map[string]struct {
			status, request string
		}{
			"a length and chunks":              {"200", put + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(body+next)) + body},
			"chunks and a length":              {"200", put + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + body},
			"two lengths":                      {"400", put + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
			"a list of lengths":                {"400", put + "Content-Length: 1, 1\r\n\r\nx"},
			"a length with a sign":             {"400", put + "Content-Length: +1\r\n\r\nx"},
			"a negative length":                {"400", put + "Content-Length: -1\r\n\r\nx"},
			"a hexadecimal length":             {"400", put + "Content-Length: 0x1\r\n\r\nx"},
			"an empty length":                  {"400", put + "Content-Length: \r\n\r\nx"},
			"a space before the colon":         {"400", put + "Content-Length : 1\r\n\r\nx"},
			"a space before the other colon":   {"400", put + "Transfer-Encoding : chunked\r\n\r\n" + body},
			"a space in a name":                {"400", put + "X A: b\r\nContent-Length: 1\r\n\r\nx"},
			"a line without a colon":           {"400", put + "X-A\r\nContent-Length: 1\r\n\r\nx"},
			"a zero byte":                      {"400", put + "X-A: b\x00\r\nContent-Length: 1\r\n\r\nx"},
			"a carriage return alone":          {"400", put + "X-A: b\rContent-Length: 5\r\nContent-Length: 1\r\n\r\nx"},
			"a first line that goes on":        {"400", "PUT " + at("a") + " HTTP/1.1\r\n X-A: b\r\n" + s.login() + "Content-Length: 1\r\n\r\nx"},
			"an encoding that is none":         {"501", put + "Transfer-Encoding: xchunked\r\n\r\n" + body},
			"identity":                         {"501", put + "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx"},
			"two encodings":                    {"501", put + "Transfer-Encoding: identity, chunked\r\n\r\n" + body},
			"chunked twice":                    {"501", put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + body},
			"a vertical tab":                   {"400", put + "Transfer-Encoding: \x0bchunked\r\n\r\n" + body},
			"an encoding on the next line":     {"200", put + "Transfer-Encoding:\r\n chunked\r\n\r\n" + body},
			"a newline alone after a size":     {"400", chunked + "1\nx\r\n0\r\n\r\n"},
			"a newline alone in an extension":  {"400", chunked + "1;a=\nx\r\n0\r\n\r\n"},
			"a newline alone after a chunk":    {"400", chunked + "1\r\nx\n0\r\n\r\n"},
			"an extension":                     {"200", chunked + "1;a=b\r\nx\r\n0\r\n\r\n"},
			"an extension that does not end":   {"200", chunked + "1;a=\"\r\nx\r\n0\r\n\r\n"},
			"a newline alone at the end":       {"200", chunked + "1\r\nx\r\n0\r\n\n"},
			"a size with a sign":               {"400", chunked + "+1\r\nx\r\n0\r\n\r\n"},
			"a size with a prefix":             {"400", chunked + "0x1\r\nx\r\n0\r\n\r\n"},
			"a size beyond 64 bits":            {"400", chunked + "10000000000000001\r\nx\r\n0\r\n\r\n"},
			"a chunk that is longer":           {"400", chunked + "1\r\nxx\r\n0\r\n\r\n"},
			"a length in the trailer":          {"200", chunked + "1\r\nx\r\n0\r\nContent-Length: 50\r\n\r\n"},
			"chunks in HTTP/1.0":               {"400", old + "Transfer-Encoding: chunked\r\n\r\n" + body},
			"a length and chunks in HTTP/1.0":  {"200", old + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"},
			"HTTP/0.9":                         {"400", "GET " + at("a") + "\r\n\r\n"},
			"two hosts":                        {"400", put + "Host: evil.example\r\nContent-Length: 1\r\n\r\nx"},
			"the body of a request that fails": {"401", "PUT " + at("a") + " HTTP/1.1\r\nHost: " + s.host + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(next))},
			"the body of a GET":                {"400", "GET " + at("a") + " HTTP/1.1\r\n" + s.login() + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(next))},
			"a body that is announced":         {"413", put + "Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"},
			"another expectation":              {"417", put + "Expect: x\r\nContent-Length: 1\r\n\r\nx"},
			"the preface of HTTP/2":            {"400", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		} {
			a.store.Set("victim", "v")
			a.store.Set("a", "v")
			text := s.send(c.request + next)
			if got := statuses(text); !slices.Equal(got, []string{c.status}) {
				t.Errorf("%s: answered with %v, not %s alone", what, got, c.status)
			}
			want := "v"
			if c.status == "200" {
				want = "x"
			}
			if v := a.store.Value("a"); v != want {
				t.Errorf("%s: the value is %q", what, v)
			}
			if v := a.store.Value("victim"); v != "v" {
				t.Errorf("%s: the value of the victim is %q", what, v)
			}
		}
	})
}

// A token in the trailer does not count.
func TestAttackInTrailer(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	a.eachRaw(t, func(t *testing.T, s *site) {
		text := s.send("PUT " + at("a") + " HTTP/1.1\r\nHost: " + s.host + "\r\nTrailer: Authorization\r\nContent-Type: application/octet-stream\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer " + s.all + "\r\n\r\n")
		if got := statuses(text); !slices.Equal(got, []string{"401"}) {
			t.Errorf("answered with %v", got)
		}
	})
	if v := a.store.Value("a"); v != "v" {
		t.Errorf("the value is %q", v)
	}
}

// A write without any body does not empty a credential.
func TestAttackWithoutBody(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	a.eachRaw(t, func(t *testing.T, s *site) {
		request := "PUT " + at("a") + " HTTP/1.1\r\n" + s.login() + "Content-Type: application/octet-stream\r\nConnection: close\r\n"
		if got := statuses(s.send(request + "\r\n")); !slices.Equal(got, []string{"400"}) || a.store.Value("a") != "v" {
			t.Errorf("answered with %v, and the value is %q", got, a.store.Value("a"))
		}
		if got := statuses(s.send(request + "Content-Length: 0\r\n\r\n")); !slices.Equal(got, []string{"200"}) || a.store.Value("a") != "" {
			t.Errorf("with an empty body of a known length, answered with %v, and the value is %q", got, a.store.Value("a"))
		}
		a.store.Set("a", "v")
	})
}

// No path is repaired: if it can be read in two ways, it is refused.
func TestAttackPaths(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	narrow := a.token(grantOf("narrow", "b", ""))
	a.eachRaw(t, func(t *testing.T, s *site) {
		for path, status := range map[string]string{
			"/v1/credentials/b/../a": "400", "/v1/credentials/b/%2e%2e/a": "400", "/v1/credentials/b%2f..%2fa": "400", "/v1/credentials/b%2F%2E%2E%2Fa": "400",
			"//v1/credentials/a": "400", "/v1//credentials/a": "400", "/v1/credentials//a": "400", "/v1/credentials/b//../a": "400", "/v1/credentials/./a": "400",
			"/v1/credentials/b%00/../a": "400", "/v1/credentials/b%00a": "400", "/v1/credentials/a%00": "404", "/v1/credentials/b%252e%252e%252fa": "400",
			"/v1/credentials/b%25%32%65": "400", "/v1/credentials/b%c0%ae%c0%ae/a": "400", "/v1/credentials/b%5c..%5ca": "400", `/v1/credentials/b\..\a`: "400",
			"/v1/credentials/b;/../a": "400", "/v1/credentials/%61": "400", "/v1/credentials/b%0d%0aX: y": "400", "/v1/credentials/b%zz": "400",
			"/v1/credentials/b?version=1%00": "404", "/v1/credentials/b#a": "400", "/v1/credentials/a": "404", "/v1/credentials/A": "404",
			"http://" + s.host + "/v1/credentials/b/../a": "400", "*": "400", "/": "200", "": "400", "/v1/credentials/b%2e": "400",
		} {
			text := s.send("GET " + path + " HTTP/1.1\r\nHost: " + s.host + "\r\nAuthorization: Bearer " + narrow + "\r\nConnection: close\r\n\r\n")
			if got := statuses(text); !slices.Equal(got, []string{status}) {
				t.Errorf("%q: %v, not %s", path, got, status)
			}
			if strings.Contains(text, "\nLocation:") || strings.Contains(text, "\nX: y") {
				t.Errorf("%q: %s", path, text)
			}
		}
	})
}

// Over HTTP/2 a request cannot be read in two ways, but its path can.
func TestAttackPathsOverHTTP2(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	s := a.sites[2]
	narrow := a.token(grantOf("narrow", "b", ""))
	for path, status := range map[string]int{
		"/v1/credentials/b/../a": 400, "/v1/credentials/b/%2e%2e/a": 400, "//v1/credentials/a": 400, "/v1/credentials/b%00": 400, "/v1/credentials/b%252e%252e": 400,
		"/v1/credentials/a": 404, "/v1/credentials/b": 404,
	} {
		request, err := http.NewRequest("GET", s.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.URL.Path, request.URL.Opaque = "", "//"+s.host+path
		if strings.HasPrefix(path, "//") {
			request.URL.Opaque = "https://" + s.host + path
		}
		request.Header.Set("Authorization", "Bearer "+narrow)
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != status || response.ProtoMajor != 2 {
			t.Errorf("%q: %s over %s, not %d", path, response.Status, response.Proto, status)
		}
	}
}

// If a header or body is too large, it is answered and not read to its end.
func TestAttackTooLarge(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	a.each(t, func(t *testing.T, s *site) {
		request, err := http.NewRequest("GET", s.server.URL+at("a"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+s.all)
		request.Header.Set("X-Large", strings.Repeat("x", 256<<10))
		response, err := s.client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("a large header: %s", response.Status)
			}
		}
		for what, body := range map[string]io.Reader{"of a known length": strings.NewReader(strings.Repeat("x", 64<<20)), "without end": &endless{}} {
			request, err := http.NewRequest("PUT", s.server.URL+at("a"), body)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = s.host
			request.Header.Set("Authorization", "Bearer "+s.all)
			request.Header.Set("Content-Type", "application/octet-stream")
			response, err := s.client.Do(request)
			if err == nil { // otherwise the connection was reset during the request, and the answer lost
				_ = response.Body.Close()
				if response.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("a body %s: %s", what, response.Status)
				}
			}
			if e, ok := body.(*endless); ok && e.sent.Load() > 1<<30 {
				t.Errorf("%d bytes were taken", e.sent.Load())
			}
		}
		if v := s.value("a"); v != "v" {
			t.Errorf("the value is %.20q", v)
		}
	})
}

type endless struct{ sent atomic.Int64 } // the client may go on reading after the answer

func (e *endless) Read(p []byte) (int, error) {
	e.sent.Add(int64(len(p)))
	return len(p), nil
}

// Deeply nested JSON takes no stack, and long names take no memory.
func TestAttackJSON(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	for _, body := range []string{
		strings.Repeat("[", 60<<10), strings.Repeat(`{"ids":`, 8<<10), `{"ids":` + strings.Repeat("[", 60<<10), `{"ids":["a"],"ids":["b"]}`,
		`{"ids":["a"]}{"ids":["a"]}`, "{\"ids\":[\"a\"]}\x00", `{"ids":["\ud800"]}`, `{"ids":["../a"]}`, `{"ids":["a\u0000"]}`, `{"IDS":["a"]}`, "\ufeff" + `{"ids":["a"]}`,
	} {
		if got := r.do(ask{method: "POST", path: "/v1/batch-get", body: body, header: asJSON()}); got.StatusCode != 400 {
			t.Errorf("%.20q: %d", body, got.StatusCode)
		}
	}
}

// A client that sends its header too slowly is disconnected, and delays nobody else.
func TestAttackSlowHeader(t *testing.T) {
	t.Parallel() // it takes as long as a header may
	a := attack(t)
	a.store.Set("a", "v")
	s := a.sites[0]
	ended := make(chan time.Duration, 20)
	for range cap(ended) {
		conn, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		go trickle(conn, "GET "+at("a")+" HTTP/1.1\r\nX-Slow: ", ended)
	}
	for range 20 {
		s.want(ask{method: "GET", path: at("a"), host: s.host}, 200, "")
	}
	for range cap(ended) {
		if took := <-ended; took > 50*time.Second {
			t.Errorf("a connection was kept for %v", took)
		}
	}
}

// trickle sends a byte now and then until the other side gives up.
func trickle(conn net.Conn, begin string, ended chan<- time.Duration) {
	began := time.Now()
	defer func() { _ = conn.Close(); ended <- time.Since(began) }()
	_ = conn.SetReadDeadline(began.Add(time.Minute))
	_, _ = io.WriteString(conn, begin)
	gone := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, conn); close(gone) }()
	for {
		select {
		case <-gone:
			return
		case <-time.After(200 * time.Millisecond):
			_, _ = io.WriteString(conn, "x")
		}
	}
}

// Hostile names, tags and ids stay text, in answers and in the audit log.
func TestAttackTexts(t *testing.T) {
	a := attack(t)
	hostile := []string{
		`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `","outcome":"ok`, `\`, "\u202egnp.exe", "\u2028", "\ufeff", "a\u0301", `{{7*7}}`, `${jndi:ldap://x}`, "=1+1",
	}
	a.each(t, func(t *testing.T, s *site) {
		for i, text := range hostile {
			id := fmt.Sprintf("h%d", i)
			secret := s.token(token.Grant{Name: text + s.name, Allow: token.Verbs()})
			tags := `{"value":"v","tags":{"k":` + quote(text) + `}}`
			s.want(ask{method: "PUT", path: at(id), token: secret, body: tags, header: asJSON()}, 201, "")
			got := s.want(ask{method: "GET", path: at(id), token: secret}, 200, "")
			if i := got.item(t); i.Metadata.Tags["k"] != text || i.Metadata.CreatedBy != text+s.name {
				t.Errorf("%q became %+v", text, i.Metadata)
			}
			if got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("the type is %q", got.Header.Get("Content-Type"))
			}
			s.want(ask{method: "DELETE", path: at(id), token: secret}, 204, "")
		}
		for _, text := range []string{"\n", "\r\n", "\x00", "\x1b[2J", "\x7f", "\u0085", "\u009b"} {
			s.want(ask{method: "PUT", path: at("h"), body: `{"value":"v","tags":{"k":` + quote(text) + `}}`, header: asJSON()}, 422, "invalid_metadata")
			s.want(ask{method: "PUT", path: at("h"), body: `{"value":"v","tags":{` + quote("k"+text) + `:"v"}}`, header: asJSON()}, 422, "invalid_metadata")
		}
		for _, id := range []string{"%0aHTTP%201.1", "%1b%5b2J", "%e2%80%ae", "%3Cimg%3E", strings.Repeat("%22", 3000), "%ff"} {
			got := s.want(ask{method: "GET", path: at(id)}, 400, "")
			if strings.ContainsAny(got.body[:len(got.body)-1], "\n\r\x1b\u202e") || len(got.body) > 4096 {
				t.Errorf("%.20s is answered with %q", id, got.body)
			}
		}
	})
	for _, line := range a.lines() {
		if id := line["id"]; len(id) > 512 || line["outcome"] == "" || line["token"] == "" {
			t.Errorf("a line is %v", line)
		}
	}
}

// quote writes a JSON string with only ASCII characters.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String() + `"`
}
