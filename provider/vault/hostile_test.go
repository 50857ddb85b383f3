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

// A success that is not Vault's is none, whichever change it answers: a page, or an
// answer that names no version.
func TestForeignAnswerToAChange(t *testing.T) {
	const page = "<html>hello</html>"
	for _, c := range []struct {
		call   string
		status int
		body   string
	}{
		{"POST data", 200, `{"data":{}}`}, {"POST data", 204, ""}, {"POST data", 200, page},
		{"POST metadata", 200, page}, {"GET metadata", 200, `{"data":{}}`}, {"POST delete", 200, page}, {"DELETE data", 200, page},
	} {
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			tree, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/secret/"), "/")
			switch call := r.Method + " " + tree; {
			case call == c.call:
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			case call == "POST delete":
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, `{"errors":["permission denied"]}`)
			case r.Method == http.MethodGet:
				fmt.Fprint(w, `{"data":{"current_version":1,"versions":{"1":{"created_time":"2026-01-02T03:04:05Z"}}}}`)
			default:
				fmt.Fprint(w, `{"data":{"version":1,"created_time":"2026-01-02T03:04:05Z"}}`)
			}
		})
		_, e := record(t, "x", "v", nil)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		if c.call != "POST data" && c.call != "POST metadata" {
			_, err = p.Delete(t.Context(), name, nebula.Precondition{})
		}
		if nebula.KindOf(err) != nebula.ErrInvalidConfig {
			t.Errorf("%s answered with %d %q: %v", c.call, c.status, c.body, err)
		}
	}
}

// A write ends, although the server never has enough of conditions.
func TestEndlessDemands(t *testing.T) {
	for demand, kind := range map[string]nebula.Kind{"check-and-set parameter did not match the current version": nebula.ErrConflict, "check-and-set parameter required for this call": nebula.ErrInternal} {
		var seen atomic.Int32
		p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			if r.Method == http.MethodGet {
				fmt.Fprint(w, `{"data":{"current_version":1,"versions":{"1":{"created_time":"2026-01-02T03:04:05Z","destroyed":true}}}}`)
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"errors":[%q]}`, demand)
		})
		_, e := record(t, "x", "v", nil)
		for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
			seen.Store(0)
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition})
			wants(t, err, kind)
			if n := seen.Load(); n > 500 {
				t.Errorf("%s: %d calls", demand, n)
			}
		}
	}
}

// What Vault would refuse is not sent.
func TestTagThatIsTooLong(t *testing.T) {
	var seen atomic.Int32
	p, _ := hostile(t, func(http.ResponseWriter, *http.Request) { seen.Add(1) })
	name, e := record(t, "x", "v", map[string]string{strings.Repeat("ü", 65): "v"})
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidMetadata)
	if n := seen.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}
