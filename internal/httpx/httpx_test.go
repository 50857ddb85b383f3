package httpx_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/httpx"
)

func TestParseAddress(t *testing.T) {
	for _, good := range []string{"https://h", "https://h:8200/x/", "http://127.0.0.1:8200", "http://127.9.9.9", "http://[::1]:1", "http://LocalHost"} {
		if u, err := httpx.ParseAddress(good); err != nil || strings.HasSuffix(u.Path, "/") {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "h", "h:8200", "ftp://h", "http://h", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://localhost.example.com",
		"https://u:secret@h", "https://", "https://h?x", "https://h?", "https://h#x", "https://h\x00", "file:///etc/passwd", "unix:///s"} {
		if _, err := httpx.ParseAddress(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// An answer of exactly the limit is read. One with a byte more is not.
func TestLimitIsExact(t *testing.T) {
	const limit = 1000
	for _, size := range []int{0, 1, limit - 1, limit, limit + 1, 2 * limit} {
		for _, declared := range []bool{false, true} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if declared {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				} else {
					w.(http.Flusher).Flush()
				}
				_, _ = io.WriteString(w, strings.Repeat("x", size))
			}))
			client := httpx.NewClient(httpx.Options{MaxBody: limit, Total: 5 * time.Second})
			var data []byte
			response, err := client.Get(server.URL)
			if err == nil {
				data, err = io.ReadAll(response.Body)
				response.Body.Close()
			}
			var large *httpx.TooLargeError
			if tooLarge := errors.As(err, &large); tooLarge != (size > limit) || !tooLarge && (err != nil || len(data) != size) {
				t.Errorf("%d bytes, declared %v: %d read, %v", size, declared, len(data), err)
			}
			if len(data) > limit {
				t.Errorf("%d bytes were handed out", len(data))
			}
			server.Close()
		}
	}
}

// The custom authorities take the place of the system's, and TLS 1.1 is refused.
func TestTLS(t *testing.T) {
	serve := func(most uint16) (string, *x509.CertPool) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: most}
		server.StartTLS()
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		return server.URL, roots
	}
	get := func(url string, roots *x509.CertPool) error {
		response, err := httpx.NewClient(httpx.Options{MaxBody: 10, Total: 5 * time.Second, Roots: roots}).Get(url)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	url, roots := serve(tls.VersionTLS13)
	if err := get(url, roots); err != nil {
		t.Errorf("the authority that was configured: %v", err)
	}
	if get(url, nil) == nil || get(url, x509.NewCertPool()) == nil {
		t.Error("an unknown authority was accepted")
	}
	if url, roots = serve(tls.VersionTLS11); get(url, roots) == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestTotalLimit(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	defer server.Close()
	client := httpx.NewClient(httpx.Options{MaxBody: 1 << 20, Total: 200 * time.Millisecond})
	began := time.Now()
	response, err := client.Get(server.URL)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err == nil || time.Since(began) > 2*time.Second {
		t.Errorf("an endless answer: %v after %v", err, time.Since(began))
	}
}

// TestMoreTLS: the client shows the certificate that it is given, and verifies the
// server whatever the options say.
func TestMoreTLS(t *testing.T) {
	var shown atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown.Store(int32(len(r.TLS.PeerCertificates))) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	more := &tls.Config{Certificates: server.TLS.Certificates, ServerName: "example.com", InsecureSkipVerify: true}
	get := func(o httpx.Options) error {
		o.MaxBody, o.Total = 10, 5*time.Second
		response, err := httpx.NewClient(o).Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(httpx.Options{Roots: roots, TLS: more}); err != nil || shown.Load() != 1 {
		t.Errorf("%v, %d certificates were shown", err, shown.Load())
	}
	if get(httpx.Options{TLS: more}) == nil {
		t.Error("verification was turned off")
	}
	more.ServerName = "elsewhere.example.org"
	if get(httpx.Options{Roots: roots, TLS: more}) == nil {
		t.Error("another name was accepted")
	}
}

func TestProxy(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.String()) }))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	response, err := httpx.NewClient(httpx.Options{MaxBody: 10, Total: 5 * time.Second, Proxy: address}).Get("http://somewhere.example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if asked.Load() != "http://somewhere.example.com/x" {
		t.Errorf("the proxy was asked for %v", asked.Load())
	}
}
