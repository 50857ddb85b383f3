package kubernetes

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// Limits of answers, in bytes. A Secret has 1 MiB of data in base64 and 256 KiB
// of annotations, each byte of which may be escaped. If a page of a list is
// larger, it is asked for again in smaller pages.
const (
	maxAnswer     = 8 << 20
	maxListAnswer = 16 << 20
)

// The forms of an answer: the whole object, or its metadata alone.
const (
	acceptJSON         = "application/json"
	acceptMetadata     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// contentPatch is the type of a JSON patch.
const contentPatch = "application/json-patch+json"

// fieldManager is the author of a change for the server.
const fieldManager = "nebula"

// wire speaks the HTTP API.
type wire struct {
	options httpx.Options
	address *url.URL
	headers http.Header // on each request

	mu     sync.Mutex
	http   *http.Client
	before *http.Client // whose last requests may be under way; nil for none
}

func newWire(o httpx.Options, a *access) *wire {
	return &wire{options: o, address: a.server, headers: a.headers, http: httpx.NewClient(o)}
}

func (w *wire) client() *http.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.http
}

// renew sends all further requests over new connections: a connection keeps the
// certificate that it began with, and never ends if it is always in use.
func (w *wire) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.before != nil {
		w.before.CloseIdleConnections()
	}
	w.before, w.http = w.http, httpx.NewClient(w.options)
	w.before.CloseIdleConnections()
}

// close ends all connections. No request may be under way.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.http.CloseIdleConnections()
	if w.before != nil {
		w.before.CloseIdleConnections()
	}
}

// request is one call.
type request struct {
	method  string
	path    string // below the address, not escaped
	query   url.Values
	accept  string // "" is the whole object
	content string // of the body; "" is JSON
	body    any    // encoded as JSON; nil for none
	limit   int64  // of the answer; 0 is maxAnswer

	// verb and resource are RBAC's names for it. They are "" if it needs no
	// right.
	verb, resource string
}

// do makes the call once. Its errors are *StatusError, or those of the
// connection. With a StatusError there is an answer.
func (w *wire) do(ctx context.Context, r request, authorization string) (*httpx.Answer, error) {
	a, err := httpx.Call(ctx, w.client(), w.write(r, authorization))
	return a, w.refused(a, err, r, authorization)
}

// stream is do for an answer that goes on until the server or the context ends
// it. The context limits its time.
func (w *wire) stream(ctx context.Context, r request, authorization string, read func(io.Reader) error) (*httpx.Answer, error) {
	client := *w.client()
	client.Timeout = 0
	a, err := httpx.Stream(ctx, &client, w.write(r, authorization), read)
	return a, w.refused(a, err, r, authorization)
}

func (w *wire) refused(a *httpx.Answer, err error, r request, authorization string) error {
	if err != nil || a.OK() {
		return err
	}
	refused := parseStatus(a.Status, a.Body, r)
	refused.redact(authorization)
	return refused
}

func (w *wire) write(r request, authorization string) httpx.Request {
	u := *w.address
	u.Path += "/" + r.path
	u.RawQuery = r.query.Encode()
	header := http.Header{"User-Agent": {"nebula"}, "Accept": {acceptJSON}}
	maps.Copy(header, w.headers)
	set := func(key, value string) {
		if value != "" {
			header.Set(key, value)
		}
	}
	set("Accept", r.accept)
	set("Content-Type", r.content)
	set("Authorization", authorization)
	limit := r.limit
	if limit == 0 {
		limit = maxAnswer
	}
	return httpx.Request{Method: r.method, URL: &u, Header: header, Body: r.body, MaxAnswer: limit}
}

// decodeSecret reads an answer, which must have that kind and be about that
// object.
func decodeSecret(a *httpx.Answer, kind, name string) (secret, error) {
	var s secret
	if json.Unmarshal(a.Body, &s) != nil || s.Kind != kind || s.Metadata.Name != name || !isRevision(s.Metadata.ResourceVersion) {
		return secret{}, errForeignAnswer()
	}
	return s, nil
}

// isRevision reports whether a text has the form of a resource version. No
// other text is sent back as one.
func isRevision(s string) bool {
	if s == "" || len(s) > 20 || s[0] == '0' {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
