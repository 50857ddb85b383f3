package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// Limits of answers, in bytes. A Secret has 1 MiB of data in base64 and 256 KiB
// of annotations, each byte of which may be escaped. A page of a list that is
// larger is asked for again in smaller ones.
const (
	maxAnswer      = 8 << 20
	maxListAnswer  = 16 << 20
	maxErrorAnswer = 1 << 20
)

// What is asked for: the whole object, or its metadata alone.
const (
	acceptJSON         = "application/json"
	acceptMetadata     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// What is sent.
const (
	contentJSON  = "application/json"
	contentPatch = "application/json-patch+json"
)

// fieldManager is what the server notes as the author of a change.
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

// renew has all further requests go over new connections: a connection keeps the
// certificate that it began with, and one that is always in use never ends.
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

	// verb and resource are what RBAC calls it; "" where nothing has to be
	// granted.
	verb, resource string
}

// answer is what came back.
type answer struct {
	header http.Header
	body   []byte
}

// do makes the call once. Its errors are *StatusError, or those of the way
// there. With a StatusError there is an answer.
func (w *wire) do(ctx context.Context, r request, authorization string) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	httpRequest, err := w.build(ctx, r, authorization)
	if err != nil {
		return nil, err
	}
	response, err := w.client().Do(httpRequest)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	limit := r.limit
	if limit == 0 {
		limit = maxAnswer
	}
	if response.StatusCode >= 300 {
		limit = maxErrorAnswer
	}
	body, err := httpx.ReadAll(response.Body, limit)
	if err != nil {
		return nil, err
	}
	a := &answer{header: response.Header, body: body}
	if response.StatusCode < 300 {
		return a, nil
	}
	return a, parseStatus(response.StatusCode, body, r)
}

func (w *wire) build(ctx context.Context, r request, authorization string) (*http.Request, error) {
	u := *w.address
	u.Path += "/" + r.path
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for key, values := range w.headers {
		request.Header[key] = values
	}
	request.Header.Set("User-Agent", "nebula")
	request.Header.Set("Accept", acceptJSON)
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	if body != nil {
		request.Header.Set("Content-Type", contentJSON)
		if r.content != "" {
			request.Header.Set("Content-Type", r.content)
		}
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return request, nil
}

// decodeSecret reads an answer that must be of that kind, about that object.
func decodeSecret(a *answer, kind, name string) (secret, error) {
	var s secret
	if json.Unmarshal(a.body, &s) != nil || s.Kind != kind || s.Metadata.Name != name || !isRevision(s.Metadata.ResourceVersion) {
		return secret{}, errForeignAnswer()
	}
	return s, nil
}

// isRevision reports whether a resource version has the form that they have. No
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
