package aws_test

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/aws"
)

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func hostile(t *testing.T, handler http.HandlerFunc) (full, nebula.Name) {
	t.Helper()
	return hostileWithin(t, time.Second, handler)
}

func hostileWithin(t *testing.T, timeout time.Duration, handler http.HandlerFunc) (full, nebula.Name) {
	t.Helper()
	environment(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An answer before the end of the request is a broken connection.
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL, c.Timeout, c.Retry.MaxRetries = "us-east-1", server.URL, timeout, 0
	name, _ := record(t, "x", "", nil)
	return open(t, c), name
}

// refuses checks the kind of a failure, and that the error shows no keys.
func refuses(t *testing.T, p full, name nebula.Name, kind nebula.Kind) {
	t.Helper()
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, kind)
	if err != nil && (strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "Signature=")) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

func TestSilentServer(t *testing.T) {
	p, name := hostile(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	refuses(t, p, name, nebula.ErrTimeout)
}

func TestEndlessServer(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"SecretString":"`)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	refuses(t, p, name, nebula.ErrTimeout)
}

// If an answer breaks off, the write may have been done.
func TestBrokenAnswer(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"Name":"x"`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	refuses(t, p, name, nebula.ErrUnavailable)
}

// A redirect is not followed: the other host sees no request, and no signature.
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
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest); send(w) },
	} {
		p, name := hostileWithin(t, time.Minute, handler)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		t.Run(what, func(t *testing.T) { refuses(t, p, name, nebula.ErrTooLarge) })
		runtime.ReadMemStats(&after)
		// The server in this process allocates little: it sends one chunk.
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 200<<20 {
			t.Errorf("%s: %d MiB were allocated", what, grown>>20)
		}
	}
	p, name := hostileWithin(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	refuses(t, p, name, nebula.ErrInvalidConfig)
}

func TestForeignServer(t *testing.T) {
	for what, body := range map[string]string{
		"a page": "<html>hello</html>", "other JSON": `[1]`, "deep JSON": strings.Repeat("[", 100_000),
		"nothing": "", "an empty object": "{}", "another type": `{"SecretString":1}`, "half": `{"SecretString":"x"`,
	} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		t.Run(what, func(t *testing.T) {
			refuses(t, p, name, nebula.ErrInvalidConfig)
			if found, err := p.Exists(t.Context(), name); found || err == nil {
				t.Errorf("it exists: %v", err)
			}
			if err := remove(t.Context(), p, name); err == nil {
				t.Error("it is deleted")
			}
			_, e := record(t, "x", "v", nil)
			if v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err == nil {
				t.Errorf("it is stored as %q", v)
			}
			if results, err := p.RetrieveBatch(t.Context(), []nebula.Name{name}); err == nil && results[0].Err == nil {
				t.Error("the batch has it")
			}
		})
	}
}

// The error does not show what the server says about itself.
func TestEchoingServer(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 413, 429, 500, 501, 502, 503, 504} {
		for _, body := range []string{`{"__type":%q,"message":%q}`, `<b>%s %s</b>`} {
			p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintf(w, body, testSecret, r.Header.Get("Authorization")+testSecret)
			})
			_, err := p.Retrieve(t.Context(), name)
			if err == nil || strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "Credential=") {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
}

// A server without POST is not Secrets Manager. That is no outage, and nothing is
// repeated.
func TestOtherServers(t *testing.T) {
	for _, status := range []int{404, 405, 501} {
		var seen atomic.Int32
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
			seen.Add(1)
			http.Error(w, "<html>", status)
		})
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrInvalidConfig, "not AWS Secrets Manager", "endpoint_url")
		if n := seen.Load(); n != 1 {
			t.Errorf("%d: %d attempts", status, n)
		}
	}
}

// The provider obeys AWS: if it asks for a longer wait than the policy allows, there
// is no further attempt.
func TestRetryAfter(t *testing.T) {
	environment(t)
	for after, attempts := range map[string]int32{"0": 2, "3600": 1} {
		var seen atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			seen.Add(1)
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		c := aws.DefaultConfig()
		c.Region, c.EndpointURL, c.Retry.MaxRetries, c.Retry.BaseDelayMS = "us-east-1", server.URL, 1, 10
		p := open(t, c)
		name, _ := record(t, "x", "", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnavailable, "503")
		if seen.Load() != attempts {
			t.Errorf("Retry-After %s: %d attempts, want %d", after, seen.Load(), attempts)
		}
		server.Close()
	}
}
