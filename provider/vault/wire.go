package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/nebula-credential/nebula"
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
	silent bool  // the answer to success has no data, at most warnings
}

// do makes the call once. Its errors are *ResponseError, one of kind
// ErrInvalidConfig if something else than Vault answers, or those of the way
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
	switch {
	case err != nil:
	case !isVaults(r, a):
		err = w.errForeign(a)
	case !a.OK():
		err = responseError(r, a)
	}
	return a, err
}

// isVaults reports whether an answer can be Vault's by its form. It accepts any
// form of a refusal that means the same from any server, a load balancer for
// example.
func isVaults(r request, a *httpx.Answer) bool {
	switch a.Status {
	case http.StatusNoContent:
		return true
	case http.StatusOK:
		// The data of other answers is read, and its form with it.
		return !r.silent || hasForm(a.Body)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusPreconditionFailed:
		return hasForm(a.Body)
	case http.StatusNotFound:
		// A patch of what is not there is the one refusal without a body.
		return hasForm(a.Body) || r.method == http.MethodPatch && len(a.Body) == 0 && a.Header.Get("Content-Type") == "application/json"
	}
	return a.Status > 299
}

// hasForm reports whether a body is an object with one of the two keys of which
// every answer of Vault has one.
func hasForm(body []byte) bool {
	var form struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	return json.Unmarshal(body, &form) == nil && (form.Data != nil || form.Errors != nil)
}

// errForeign names the address whose answer is not Vault's.
func (w *wire) errForeign(a *httpx.Answer) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: fmt.Sprintf("what answers at %s is not Vault (status %d, content type %.40q)", w.address, a.Status, a.Header.Get("Content-Type")),
		Hint:    "look at address: it is the server's, without a path such as /ui or /v1"}
	if w.address.Scheme == "http" && bytes.Contains(a.Body, []byte("HTTPS")) {
		e.Message = fmt.Sprintf("the server at %s speaks https", w.address)
		e.Hint = "set address to https://" + w.address.Host
	}
	return e
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
func decode[T any](w *wire, a *httpx.Answer) (T, error) {
	var envelope struct {
		Data *T `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &envelope); err != nil || envelope.Data == nil {
		var none T
		return none, w.errForeign(a)
	}
	return *envelope.Data, nil
}
