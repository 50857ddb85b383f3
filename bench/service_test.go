package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/token"
)

// BenchmarkServiceGet compares a GET of 1 KiB from the service, on files and with its audit
// log, to a bare handler that answers with the same headers and body from memory. An
// operation is 50 requests on each of 16 connections. Both figures include the client: that
// of net/http, or a light one that does only what it must.
func BenchmarkServiceGet(b *testing.B) {
	benchmarkServiceGet(b, "net-http", false)
	benchmarkServiceGet(b, "light", false)
	benchmarkServiceGet(b, "net-http", true)
}

func benchmarkServiceGet(b *testing.B, client string, sync bool) {
	const connections, requests = 16, 50
	s := newStore(b)
	value := bytes.Repeat([]byte("x"), 1024)
	if _, err := s.Put(ctx, "github_token", nebula.NewSecret(value), nebula.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	served, login := newService(b, s, sync)
	defer served.Close()
	bare := httptest.NewServer(answerAs(b, served.Config.Handler, served.Listener.Addr().String(), login))
	defer bare.Close()
	dial := dialAll
	if client == "net-http" {
		dial = clients
	}
	ours, theirs := dial(b, served.Listener.Addr().String(), login, connections), dial(b, bare.Listener.Addr().String(), login, connections)
	for _, get := range append(ours, theirs...) { // warms up, and checks the answers
		if got := get(); !bytes.Equal(got, value) {
			b.Fatalf("the answer is %q", got)
		}
	}
	all := func(gets []func() []byte) func() error {
		return func() error { getAll(gets, requests); return nil }
	}
	paired.Batches(b, fmt.Sprintf("client=%s/sync=%v", client, sync), connections*requests, all(theirs), all(ours))
}

// answerAs calls a handler once, and returns a handler that gives the same answer from
// memory, with its headers.
func answerAs(b *testing.B, handler http.Handler, address, login string) http.Handler {
	b.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://"+address+"/v1/credentials/github_token", nil)
	name, value, _ := strings.Cut(strings.TrimSpace(login), ": ")
	r.Header = http.Header{name: {value}, "Accept": {"application/octet-stream"}}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("the answer is %d: %s", w.Code, w.Body)
	}
	header, body := w.Header(), w.Body.Bytes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, values := range header {
			h[name] = values
		}
		_, _ = w.Write(body)
	})
}

// clients returns clients of net/http, each with a connection of its own.
func clients(b *testing.B, address, login string, n int) []func() []byte {
	b.Helper()
	name, value, _ := strings.Cut(strings.TrimSpace(login), ": ")
	all := make([]func() []byte, n)
	for i := range all {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		b.Cleanup(client.CloseIdleConnections)
		all[i] = func() []byte {
			request, err := http.NewRequest(http.MethodGet, "http://"+address+"/v1/credentials/github_token", nil)
			if err != nil {
				b.Error(err)
				return nil
			}
			request.Header = http.Header{name: {value}, "Accept": {"application/octet-stream"}}
			response, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return nil
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK {
				b.Errorf("%s, %v", response.Status, err)
			}
			return body
		}
	}
	return all
}

// newService serves a store on loopback, and returns the header line with a token.
func newService(b *testing.B, s store, sync bool) (*httptest.Server, string) {
	b.Helper()
	tokens := token.NewFile(filepath.Join(filepath.Dir(s.dir), "tokens"))
	secret, err := tokens.Add(ctx, token.Grant{Name: "bench", Allow: []token.Verb{token.Read}})
	if err != nil {
		b.Fatal(err)
	}
	log, err := audit.Open(filepath.Join(filepath.Dir(s.dir), "audit.log"), audit.Options{Sync: sync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	server := httptest.NewUnstartedServer(nil)
	handler, err := service.New(s.Store, service.Options{Tokens: tokens, Audit: log, Hosts: []string{server.Listener.Addr().String()}})
	if err != nil {
		b.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	settle()
	return server, "Authorization: Bearer " + string(secret.Reveal()) + "\r\n"
}

// connection sends one request again and again.
type connection struct {
	b       *testing.B
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	body    []byte
}

func dialAll(b *testing.B, address, login string, n int) []func() []byte {
	b.Helper()
	all := make([]func() []byte, n)
	for i := range all {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		c := &connection{b: b, conn: conn, in: bufio.NewReader(conn), request: fmt.Appendf(nil,
			"GET /v1/credentials/github_token HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/octet-stream\r\n%s\r\n", address, login)}
		all[i] = c.get
	}
	return all
}

func getAll(gets []func() []byte, requests int) {
	var wg sync.WaitGroup
	for _, get := range gets {
		wg.Go(func() {
			for range requests {
				get()
			}
		})
	}
	wg.Wait()
}

// get sends the request and returns the body of the answer, which must be a 200.
func (c *connection) get() []byte {
	if _, err := c.conn.Write(c.request); err != nil {
		c.b.Error(err)
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil || !bytes.Contains(status, []byte(" 200 ")) {
		c.b.Errorf("%q, %v", status, err)
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.b.Error(err)
			return nil
		}
		if len(line) == len("\r\n") {
			break
		}
		if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(text)))
		}
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		c.b.Error(err)
	}
	return c.body
}
