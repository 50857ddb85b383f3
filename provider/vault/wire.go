package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// Limits of answers, in bytes. A record of the greatest size whose every
// character is escaped fits; so does a list of half a million names.
const (
	maxAnswer     = 8 << 20
	maxListAnswer = 64 << 20
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

// do makes the call once. Its errors are *ResponseError, or those of the way
// there.
func (w *wire) do(ctx context.Context, r request) (*httpx.Answer, error) {
	u := *w.address
	u.Path += "/v1/" + r.path
	u.RawQuery = r.query.Encode()
	limit := r.limit
	if limit == 0 {
		limit = maxAnswer
	}
	a, err := httpx.Call(ctx, w.http, httpx.Request{Method: r.method, URL: &u, Header: w.header(r), Body: r.body, MaxAnswer: limit})
	if err == nil && !a.OK() {
		err = responseError(r, a)
	}
	return a, err
}

func (w *wire) header(r request) http.Header {
	header := make(http.Header, 4)
	// Vault can be set up to refuse requests without it, so that nobody tricks
	// a browser or a proxy into one.
	header.Set(headerRequest, "true")
	if r.token != "" {
		header.Set(headerToken, r.token)
	}
	if w.namespace != "" && !r.root {
		header.Set(headerNamespace, w.namespace)
	}
	if r.method == http.MethodPatch {
		header.Set("Content-Type", "application/merge-patch+json")
	}
	return header
}

// decode reads the data of an answer. Other fields are left.
func decode[T any](a *httpx.Answer) (T, error) {
	var envelope struct {
		Data T `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &envelope); err != nil {
		return envelope.Data, errForeignAnswer()
	}
	return envelope.Data, nil
}
