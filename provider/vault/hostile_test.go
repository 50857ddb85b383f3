package vault_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

const secretToken = "hvs.a-token-that-nobody-may-see"

func hostile(t *testing.T, handler http.HandlerFunc) (nebula.Provider, nebula.Name) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	p := open(t, hostileConfig(server.URL), provider.OneShot())
	name, _ := record(t, "x", "", nil)
	return p, name
}

func hostileConfig(address string) vault.Config {
	c := vault.DefaultConfig()
	c.Address, c.Timeout, c.Namespace = address, time.Second, ""
	c.Auth.Token = nebula.NewSecret([]byte(secretToken))
	c.Retry.MaxRetries = 0
	return c
}

// refuses checks how a call fails: its kind, how long it took, and that the error
// shows no token.
func refuses(t *testing.T, p nebula.Provider, name nebula.Name, kind nebula.Kind) {
	t.Helper()
	began := time.Now()
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, kind)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	if err != nil && strings.Contains(err.Error(), secretToken) {
		t.Errorf("the error shows the token: %v", err)
	}
}

func TestSilentServer(t *testing.T) {
	p, name := hostile(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	refuses(t, p, name, nebula.ErrTimeout)
}

func TestEndlessServer(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":{"data":{"record":"`)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	refuses(t, p, name, nebula.ErrTimeout)
}

// A redirect is not followed: the other host sees no request, and no token.
func TestRedirectingServer(t *testing.T) {
	var seen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, status)
		})
		refuses(t, p, name, nebula.ErrInvalidConfig)
	}
	if seen.Load() != 0 {
		t.Errorf("the other host saw %d requests", seen.Load())
	}
}

// An answer of 300 MiB is not read: plain or packed, with or without a length, or as
// an error.
func TestHugeServer(t *testing.T) {
	const size = 300 << 20
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(chunk)
	_ = z.Close()
	packed := bytes.Repeat(member.Bytes(), size>>20) // members in a row are one file
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
		// The server in this process allocates little: it sends one chunk.
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", what, grown>>20)
		}
	}
	p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	refuses(t, p, name, nebula.ErrInvalidConfig)
}

func TestForeignServer(t *testing.T) {
	for what, body := range map[string]string{
		"a page": "<html>hello</html>", "other JSON": `[1]`, "deep JSON": strings.Repeat("[", 100_000),
		"nothing": "", "an empty object": "{}", "another type": `{"data":{"metadata":"x"}}`,
	} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		t.Run(what, func(t *testing.T) { refuses(t, p, name, nebula.ErrInvalidConfig) })
	}
}

// The error does not show what the server says about itself.
func TestEchoingServer(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 412, 413, 429, 472, 473, 500, 501, 502, 503, 504} {
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"errors":["you sent %s"]}`, r.Header.Get("X-Vault-Token"))
		})
		_, err := p.Retrieve(t.Context(), name)
		if err == nil || strings.Contains(err.Error(), secretToken) || nebula.KindOf(err) == "" {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// An expired certificate is refused at once, and not tried again.
func TestExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var served atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	wire := hostileConfig(server.URL)
	wire.CACert, wire.Retry.MaxRetries = ca, 5
	name, _ := record(t, "x", "", nil)
	refuses(t, open(t, wire, provider.OneShot()), name, nebula.ErrUnavailable)
	if served.Load() != 0 {
		t.Error("a request was sent")
	}
}

// The provider obeys Vault: it waits, or makes no further attempt.
func TestRetryAfter(t *testing.T) {
	for after, attempts := range map[string]int32{"1": 2, "3600": 1} {
		var seen atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			seen.Add(1)
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		c := hostileConfig(server.URL)
		c.Retry.MaxRetries = 1
		p := open(t, c, provider.OneShot())
		name, _ := record(t, "x", "", nil)
		began := time.Now()
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnavailable, "429")
		if seen.Load() != attempts || attempts == 2 && time.Since(began) < time.Second {
			t.Errorf("Retry-After %s: %d attempts in %v, want %d", after, seen.Load(), time.Since(began), attempts)
		}
		server.Close()
	}
}
