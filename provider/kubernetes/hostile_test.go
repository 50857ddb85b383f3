package kubernetes_test

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

const secretToken = "a-token-that-nobody-may-see"

func httptestCA(t testing.TB) []byte {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func hostile(t *testing.T, handler http.HandlerFunc) (nebula.Provider, nebula.Name) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	p := open(t, hostileConfig(t, server.URL))
	name, _ := record(t, "x", "", nil)
	return p, name
}

func hostileConfig(t testing.TB, address string) kubernetes.Config {
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath, c.Timeout = kubeconfig(t, address, secretToken), time.Second
	c.Retry.MaxRetries = 0
	return c
}

// refuses checks how each operation that reads fails: its kind, and that the error
// shows no token.
func refuses(t *testing.T, p nebula.Provider, name nebula.Name, kind nebula.Kind) {
	t.Helper()
	_, retrieved := p.Retrieve(t.Context(), name)
	_, exists := p.Exists(t.Context(), name)
	_, listed := list(t.Context(), p, nebula.Filter{})
	for op, err := range map[string]error{"retrieve": retrieved, "exists": exists, "list": listed, "delete": remove(t.Context(), p, name)} {
		if !errors.Is(err, kind) || strings.Contains(fmt.Sprint(err), secretToken) {
			t.Errorf("%s: %v, want %q", op, err, kind)
		}
	}
}

func TestSilentServer(t *testing.T) {
	p, name := hostile(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrTimeout)
}

func TestEndlessServer(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"kind":"Secret","data":{"record":"`)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrTimeout)
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
		_, e := record(t, "x", "v", nil)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrInvalidConfig, "not followed")
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
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrTooLarge)
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

// If a page of a list is too large, smaller ones are requested. If even those are too
// large, the list is refused.
func TestLargePages(t *testing.T) {
	var limits []string
	large := true
	p, _ := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.URL.Query().Get("limit"))
		if large || len(limits) < 3 {
			w.Header().Set("Content-Length", fmt.Sprint(17<<20))
			return
		}
		fmt.Fprint(w, `{"kind":"PartialObjectMetadataList","items":[]}`)
	})
	_, err := list(t.Context(), p, nebula.Filter{})
	wants(t, err, nebula.ErrTooLarge)
	if got := strings.Join(limits, " "); got != "500 125 31 8" {
		t.Errorf("pages of %s", got)
	}
	large, limits = false, nil
	if entries, err := list(t.Context(), p, nebula.Filter{}); len(entries) != 0 || err != nil || len(limits) != 3 {
		t.Errorf("%v, %v after pages of %v", entries, err, limits)
	}
}

func TestForeignServer(t *testing.T) {
	for what, body := range map[string]string{
		"a page": "<html>hello</html>", "other JSON": `[1]`, "deep JSON": strings.Repeat("[", 100_000),
		"nothing": "", "an empty object": "{}", "another type": `{"kind":7}`, "another kind": `{"kind":"Pod","apiVersion":"v1"}`,
		"a Secret of another name": `{"kind":"Secret","metadata":{"name":"y","resourceVersion":"1"}}`,
		"no version":               `{"kind":"Secret","metadata":{"name":"nebula-cred-x"}}`,
		"not base64":               `{"kind":"Secret","metadata":{"name":"nebula-cred-x","resourceVersion":"1"},"data":{"record":"?"}}`,
	} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		t.Run(what, func(t *testing.T) { refuses(t, p, name, nebula.ErrInvalidConfig) })
	}
	// Any server has a page that says 404. That does not mean that the credential
	// does not exist.
	for _, body := range []string{"", "404 page not found", `{"error":"not found"}`, `{"kind":"Status","reason":"NotFound"}`} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound); fmt.Fprint(w, body) })
		refuses(t, p, name, nebula.ErrInvalidConfig)
	}
}

// A list that leads back to itself ends.
func TestCircularList(t *testing.T) {
	p, _ := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"kind":"PartialObjectMetadataList","metadata":{"continue":"again"},"items":[]}`)
	})
	_, err := list(t.Context(), p, nebula.Filter{})
	wants(t, err, nebula.ErrInvalidConfig)
}

// If a server repeats what it was sent, that does not get into an error.
func TestEchoingServer(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 500, 501, 502, 503, 504} {
		for _, reason := range []string{"", "Invalid"} {
			p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				text := r.Header.Get("Authorization")
				word := reason
				if word == "" {
					word = text
				}
				fmt.Fprintf(w, `{"kind":"Status","reason":%q,"message":%q,"details":{"kind":%q,"causes":[{"field":%q}]}}`, word, "look: "+text, text, text)
			})
			_, err := p.Retrieve(t.Context(), name)
			var e *nebula.Error
			if !errors.As(err, &e) || strings.Contains(err.Error()+e.Hint, secretToken) {
				t.Errorf("%d: %v", status, err)
			}
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				if strings.Contains(cause.Error(), secretToken) {
					t.Errorf("%d: a cause shows the token: %v", status, cause)
				}
			}
		}
	}
}

// The server's words are shown at limited length.
func TestLongWords(t *testing.T) {
	p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, `{"kind":"Status","reason":"Invalid","message":%q}`, strings.Repeat("ü", 100_000))
	})
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrInternal, `üü…"`)
	if n := len(err.Error()); n > 500 {
		t.Errorf("the error has %d bytes", n)
	}
}

// If doctor cannot examine something, it does not blame the store.
func TestDoctorIsRefused(t *testing.T) {
	const refusal = `{"kind":"Status","reason":%q,"message":"the request is refused"}`
	for refused, want := range map[string]string{"selfsubjectaccessreviews": "system:basic-user", "secrets": "does not support dry runs"} {
		p, _ := hostile(t, func(w http.ResponseWriter, r *http.Request) {
			plural := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
			switch {
			case plural == "secrets" && r.Method == http.MethodGet:
				fmt.Fprint(w, `{"kind":"PartialObjectMetadataList"}`)
			case plural == refused && plural == "secrets":
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"kind":"Status","reason":"BadRequest","message":"admission webhook \"w\" does not support dry run"}`)
			case plural == refused:
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, refusal, "Forbidden")
			case plural == "version":
				fmt.Fprint(w, `{"gitVersion":"v1.37.2"}`)
			case plural == "selfsubjectreviews":
				fmt.Fprint(w, `{"kind":"SelfSubjectReview","status":{"userInfo":{"username":"alice"}}}`)
			default:
				fmt.Fprint(w, `{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}`)
			}
		})
		checker, _ := nebula.As[nebula.Checker](p)
		findings := checker.Check(t.Context())
		warned := slices.ContainsFunc(findings, func(f nebula.Finding) bool {
			return f.Severity == nebula.SeverityWarning && strings.Contains(f.Message+f.Fix, want)
		})
		if kind, message := worst(findings); kind != "" || !warned {
			t.Errorf("%s: %s, %+v", refused, message, findings)
		}
	}
}

// A certificate of an unknown authority is refused at once, and not tried again.
func TestUnknownCertificate(t *testing.T) {
	var served atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	c := hostileConfig(t, server.URL)
	c.Retry.MaxRetries = 5
	name, _ := record(t, "x", "", nil)
	_, err := open(t, c).Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "certificate", "certificate-authority")
	if served.Load() != 0 {
		t.Error("a request was sent")
	}
}

// If the proxy of the kubeconfig does not lead to the server, the error names it with
// its setting, at once.
func TestProxyOfKubeconfig(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer refusing.Close()
	name, _ := record(t, "x", "", nil)
	for proxy, want := range map[string]string{
		dead.URL:     "that leads to k.example.com cannot be reached",
		refusing.URL: "does not lead to k.example.com (status 502)",
		strings.Replace(dead.URL, "http:", "socks5:", 1): "that leads to k.example.com cannot be reached",
	} {
		c := kubernetes.DefaultConfigIn(func(string) string { return "" })
		c.KubeconfigPath = kubeconfigFor(t, "https://k.example.com", httptestCA(t), map[string]any{"proxy-url": strings.Replace(proxy, "://", "://user:canary@", 1)}, map[string]any{"token": "x"})
		clock := &stillClock{now: time.Now()}
		p := open(t, c, provider.WithClock(clock))
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnavailable, "the proxy 127.0.0.1:", want, "proxy-url in context c of the kubeconfig")
		if strings.Contains(fmt.Sprint(err), "canary") || clock.longest != 0 {
			t.Errorf("%s: %v, after waits of %v", proxy, err, clock.longest)
		}
	}
}

// After Close nothing of the provider runs.
func TestCloseEndsAll(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	}))
	defer server.Close()
	before := runtime.NumGoroutine()
	name, _ := record(t, "x", "", nil)
	for range 5 {
		p, err := kubernetes.New(hostileConfig(t, server.URL))
		if err != nil {
			t.Fatal(err)
		}
		life := p.(nebula.Connector)
		if err := life.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Retrieve(t.Context(), name); !errors.Is(err, nebula.ErrNotFound) {
			t.Fatal(err)
		}
		if err := life.Close(); err != nil {
			t.Fatal(err)
		}
	}
	server.CloseClientConnections()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines became %d", before, runtime.NumGoroutine())
}

// A change ends, although the server says each time that somebody else came first.
func TestEndlessRaces(t *testing.T) {
	var seen, found atomic.Int32
	p, name := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		status, reason := http.StatusConflict, "Conflict"
		switch {
		case r.Method == http.MethodGet && found.Load() == 1:
			fmt.Fprint(w, `{"kind":"PartialObjectMetadata","metadata":{"name":"nebula-cred-x","uid":"u","resourceVersion":"1","annotations":{"nebula-credential/id":"x"}}}`)
			return
		case r.Method == http.MethodGet:
			status, reason = http.StatusNotFound, "NotFound"
		case r.Method == http.MethodPost:
			reason = "AlreadyExists"
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"kind":"Status","reason":%q,"details":{"kind":"secrets"}}`, reason)
	})
	_, e := record(t, "x", "v", nil)
	for what, c := range map[string]struct {
		found  int32
		change func() error
	}{
		"store": {1, func() error { _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); return err }},
		"store if absent": {0, func() error {
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
			return err
		}},
		"delete": {1, func() error { return remove(t.Context(), p, name) }},
	} {
		seen.Store(0)
		found.Store(c.found)
		wants(t, c.change(), nebula.ErrConflict)
		if n := seen.Load(); n < 50 || n > 500 {
			t.Errorf("%s: %d calls", what, n)
		}
	}
}

// A success that is not the API server's is none: a page, or an answer about another
// object, of another kind or without a version.
func TestForeignAnswerToAWrite(t *testing.T) {
	const form = `{"kind":%q,"metadata":{"name":%q,"resourceVersion":%q}}`
	for _, body := range []string{"<html>hello</html>", "{}", fmt.Sprintf(form, "Secret", "nebula-cred-x", "1"),
		fmt.Sprintf(form, "PartialObjectMetadata", "other", "1"), fmt.Sprintf(form, "PartialObjectMetadata", "nebula-cred-x", "")} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		_, e := record(t, "x", "v", nil)
		for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent(), nebula.IfVersion("1")} {
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition})
			wants(t, err, nebula.ErrInvalidConfig)
		}
	}
}
