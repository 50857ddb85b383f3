package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// Limits of answers, in bytes. A record of the greatest size whose every
// character is escaped fits; so does a list of half a million names.
const (
	maxAnswer      = 8 << 20
	maxListAnswer  = 64 << 20
	maxErrorAnswer = 1 << 20
)

// The headers of Vault.
const (
	headerToken     = "X-Vault-Token"
	headerNamespace = "X-Vault-Namespace"
	headerRequest   = "X-Vault-Request"
)

// wire speaks the HTTP API. Vault's own client is left out: it reads a dozen
// variables of the environment, sends its token to where a redirect leads, and
// linking it alone takes a third of a millisecond of each start.
type wire struct {
	http      *http.Client
	address   *url.URL
	namespace string
}

// request is one call.
type request struct {
	method string
	path   string // below /v1/, not escaped
	query  url.Values
	body   any // encoded as JSON; nil for none
	token  string
	limit  int64 // of the answer; 0 is maxAnswer
	root   bool  // asked of the root namespace
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes the call once. Its errors are *ResponseError, or those of the
// way there.
func (w *wire) do(ctx context.Context, r request) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	httpRequest, err := w.build(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := w.http.Do(httpRequest)
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
	a := &answer{status: response.StatusCode, header: response.Header, body: body}
	if response.StatusCode < 300 {
		return a, nil
	}
	return a, responseError(r, response.StatusCode, body)
}

func (w *wire) build(ctx context.Context, r request) (*http.Request, error) {
	u := *w.address
	u.Path += "/v1/" + r.path
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
	// Vault asks for it where it is to be safe from requests that a browser or
	// a proxy was tricked into.
	request.Header.Set(headerRequest, "true")
	if r.token != "" {
		request.Header.Set(headerToken, r.token)
	}
	if w.namespace != "" && !r.root {
		request.Header.Set(headerNamespace, w.namespace)
	}
	switch {
	case r.method == http.MethodPatch:
		request.Header.Set("Content-Type", "application/merge-patch+json")
	case body != nil:
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// decode reads the data of an answer. Other fields are left.
func decode[T any](a *answer) (T, error) {
	var envelope struct {
		Data T `json:"data"`
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil {
		return envelope.Data, errForeignAnswer()
	}
	return envelope.Data, nil
}
