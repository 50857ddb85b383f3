package service_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/contract"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/token"
)

// rig is a service over a store, with a client.
type rig struct {
	t      testing.TB
	store  *nebula.Store
	tokens *token.File
	audit  string // the path of the audit log
	log    *audit.Log
	server *httptest.Server
	client *http.Client
	all    string // a token that may do everything
}

func newRig(t testing.TB, store *nebula.Store, change ...func(*service.Options)) *rig {
	t.Helper()
	r := &rig{t: t, store: store, tokens: token.NewFile(filepath.Join(t.TempDir(), "tokens")), audit: filepath.Join(t.TempDir(), "log", "audit.log")}
	var err error
	if r.log, err = audit.Open(r.audit, audit.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.log.Close() })
	r.all = r.token(token.Grant{Name: "all", Allow: token.Verbs()})
	r.server = httptest.NewUnstartedServer(nil)
	options := service.Options{Tokens: r.tokens, Audit: r.log, Hosts: []string{r.server.Listener.Addr().String()}, Version: "1.2.3"}
	for _, f := range change {
		f(&options)
	}
	s, err := service.New(store, options)
	if err != nil {
		t.Fatal(err)
	}
	r.server.Config.Handler = s
	r.server.Start()
	r.client = &http.Client{Transport: contract.Transport(t, r.server.Client().Transport)}
	t.Cleanup(func() {
		r.server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// memory returns a rig over a store in memory, and the store, which can fail.
func memory(t testing.TB, change ...func(*service.Options)) (*rig, *nebulatest.Store) {
	t.Helper()
	store := nebulatest.NewStore(t)
	return newRig(t, store.Store, change...), store
}

// token makes a token and returns it.
func (r *rig) token(g token.Grant) string {
	r.t.Helper()
	secret, err := r.tokens.Add(r.t.Context(), g)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(secret.Reveal())
}

// ask is a request.
type ask struct {
	method, path string
	token        string // "" is the token that may do everything, "-" is none
	body         string
	header       map[string]string
	host         string
	chunked      bool // the length of the body is not sent
}

// reply is an answer.
type reply struct {
	*http.Response
	body string
}

// do sends a request, and checks the answer for what every answer must have.
func (r *rig) do(a ask) reply {
	r.t.Helper()
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
		if a.chunked {
			body = io.MultiReader(body) // hides the length
		}
	}
	request, err := http.NewRequestWithContext(r.t.Context(), a.method, r.server.URL+a.path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	switch a.token {
	case "":
		request.Header.Set("Authorization", "Bearer "+r.all)
	case "-":
	default:
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	for name, value := range a.header {
		request.Header.Set(name, value)
	}
	request.Host = a.host
	response, err := r.client.Do(request)
	if err != nil {
		r.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	got := reply{response, string(text)}
	r.check(a, got)
	return got
}

// check checks every answer.
func (r *rig) check(a ask, got reply) {
	r.t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if value := got.Header.Get(name); value != want {
			r.t.Errorf("%s %s: %s is %q", a.method, a.path, name, value)
		}
	}
	if !strings.HasPrefix(got.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		r.t.Errorf("%s %s: the policy is %q", a.method, a.path, got.Header.Get("Content-Security-Policy"))
	}
	if len(got.Header.Get("X-Request-Id")) != 16 {
		r.t.Errorf("%s %s: the request id is %q", a.method, a.path, got.Header.Get("X-Request-Id"))
	}
	for name := range got.Header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" {
			r.t.Errorf("%s %s: there is a header %s", a.method, a.path, name)
		}
	}
	if got.StatusCode >= 400 && a.method != http.MethodHead {
		r.checkProblem(a, got)
	}
}

func (r *rig) checkProblem(a ask, got reply) {
	r.t.Helper()
	p := got.problem(r.t)
	if got.Header.Get("Content-Type") != "application/problem+json" || got.Header.Get("ETag") != "" {
		r.t.Errorf("%s %s: the header of a problem is %v", a.method, a.path, got.Header)
	}
	if p.Type != "about:blank" || p.Title == "" || p.Status != got.StatusCode || p.Detail == "" || p.Kind == "" || p.Request != got.Header.Get("X-Request-Id") {
		r.t.Errorf("%s %s: the problem is %s", a.method, a.path, got.body)
	}
	if name := map[int]string{401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After"}[got.StatusCode]; name != "" && got.Header.Get(name) == "" {
		r.t.Errorf("%s %s: %d without %s", a.method, a.path, got.StatusCode, name)
	}
}

// want fails the test unless the answer has the status, and a problem the kind.
func (r *rig) want(a ask, status int, kind string) reply {
	r.t.Helper()
	got := r.do(a)
	if got.StatusCode != status {
		r.t.Fatalf("%s %s %v: %d, not %d: %s", a.method, a.path, a.header, got.StatusCode, status, got.body)
	}
	if kind != "" && a.method != http.MethodHead {
		if p := got.problem(r.t); p.Kind != kind {
			r.t.Fatalf("%s %s %v: the kind is %s, not %s: %s", a.method, a.path, a.header, p.Kind, kind, got.body)
		}
	}
	return got
}

type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Kind    string `json:"kind"`
	Hint    string `json:"hint"`
	ID      string `json:"id"`
	Request string `json:"request_id"`
}

func (r reply) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	r.decode(t, &p)
	return p
}

func (r reply) decode(t testing.TB, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(r.body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	if d.More() {
		t.Fatalf("more follows in %s", r.body)
	}
}

// item is a credential in an answer, alone or among others.
type item struct {
	ID        string     `json:"id"`
	Value     string     `json:"value"`
	Encoding  string     `json:"encoding"`
	Version   string     `json:"version"`
	Metadata  *metadata  `json:"metadata"`
	LastKnown *time.Time `json:"last_known"`
	Error     *problem   `json:"error"`
}

type metadata struct {
	CreatedAt    time.Time         `json:"created_at"`
	LastModified time.Time         `json:"last_modified"`
	LastAccessed *time.Time        `json:"last_accessed"`
	CreatedBy    string            `json:"created_by"`
	Scope        string            `json:"scope"`
	Rotation     *rotation         `json:"rotation_policy"`
	Tags         map[string]string `json:"tags"`
}

type rotation struct {
	Days int `json:"interval_days"`
}

type items struct {
	Items []item `json:"items"`
	Next  string `json:"next"`
}

func (r reply) item(t testing.TB) item {
	t.Helper()
	var i item
	r.decode(t, &i)
	return i
}

func (r reply) items(t testing.TB) items {
	t.Helper()
	var i items
	r.decode(t, &i)
	return i
}

// Headers for many tests.
func asBytes() map[string]string {
	return map[string]string{"Content-Type": "application/octet-stream"}
}
func asJSON() map[string]string { return map[string]string{"Content-Type": "application/json"} }
func with(h map[string]string, name, value string) map[string]string {
	h[name] = value
	return h
}

func at(id string) string { return "/v1/credentials/" + id }

// set stores bytes and returns the version.
func (r *rig) set(id, value string) string {
	r.t.Helper()
	got := r.do(ask{method: "PUT", path: at(id), body: value, header: asBytes()})
	if got.StatusCode != 200 && got.StatusCode != 201 {
		r.t.Fatalf("PUT %s: %d: %s", id, got.StatusCode, got.body)
	}
	return got.item(r.t).Version
}

// value returns the bytes that are stored.
func (r *rig) value(id string) string {
	r.t.Helper()
	return r.want(ask{method: "GET", path: at(id), header: map[string]string{"Accept": "application/octet-stream"}}, 200, "").body
}
