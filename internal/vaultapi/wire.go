package vaultapi

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
// character is escaped fits into the usual one.
const (
	usualAnswer = 8 << 20
	MaxAnswer   = 64 << 20 // that a Request may ask for
)

// The headers of Vault.
const (
	headerToken     = "X-Vault-Token"
	headerNamespace = "X-Vault-Namespace"
	headerRequest   = "X-Vault-Request"
)

// Request is one call.
type Request struct {
	Method string
	Path   string // below /v1/, not escaped
	Query  url.Values
	Body   any   // encoded as JSON; nil for none
	Limit  int64 // of the answer, in bytes; 0 is 8 MiB
	Root   bool  // asked of the root namespace
	Silent bool  // the answer to success has no data, at most warnings

	token string
}

// Do makes the call once, without a token. Its errors are *ResponseError, one of
// kind ErrInvalidConfig if the server that answers is not Vault, or those of the
// connection.
func (c *Client) Do(ctx context.Context, r Request) (*httpx.Answer, error) {
	u := *c.address
	u.Path += "/v1/" + r.Path
	u.RawQuery = r.Query.Encode()
	limit := r.Limit
	if limit == 0 {
		limit = usualAnswer
	}
	a, err := httpx.Call(ctx, c.http, httpx.Request{Method: r.Method, URL: &u, Header: c.header(r), Body: r.Body, MaxAnswer: limit})
	switch {
	case err != nil:
	case !isVaults(r, a):
		err = c.Foreign(a)
	case !a.OK():
		err = responseError(r, a)
	}
	return a, err
}

// isVaults reports whether an answer can be Vault's by its form. It accepts any
// form of a refusal that means the same from any server, a load balancer for
// example.
func isVaults(r Request, a *httpx.Answer) bool {
	switch a.Status {
	case http.StatusNoContent:
		return true
	case http.StatusOK:
		// The data of other answers is read, which checks its form.
		return !r.Silent || hasForm(a.Body)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusPreconditionFailed:
		return hasForm(a.Body)
	case http.StatusNotFound:
		// The refusal of a patch of a missing secret is the only one without a
		// body.
		return hasForm(a.Body) || r.Method == http.MethodPatch && len(a.Body) == 0 && a.Header.Get("Content-Type") == "application/json"
	}
	return a.Status > 299
}

// hasForm reports whether a body is an object with one of two keys. Every
// answer of Vault has one of them.
func hasForm(body []byte) bool {
	var form struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	return json.Unmarshal(body, &form) == nil && (form.Data != nil || form.Errors != nil)
}

// Foreign names the address whose answer is not Vault's.
func (c *Client) Foreign(a *httpx.Answer) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: fmt.Sprintf("the server at %s is not Vault (status %d, content type %.40q)", c.address, a.Status, a.Header.Get("Content-Type")),
		Hint:    "look at " + c.setting("address") + ": it is the server's, without a path such as /ui or /v1"}
	if c.address.Scheme == "http" && bytes.Contains(a.Body, []byte("HTTPS")) {
		e.Message = fmt.Sprintf("the server at %s speaks https", c.address)
		e.Hint = "set " + c.setting("address") + " to https://" + c.address.Host
	}
	return e
}

func (c *Client) header(r Request) http.Header {
	header := make(http.Header, 4)
	// Vault can be set up to refuse requests without it, so that nobody tricks
	// a browser or a proxy into one.
	header.Set(headerRequest, "true")
	if r.token != "" {
		header.Set(headerToken, r.token)
	}
	if c.namespace != "" && !r.Root {
		header.Set(headerNamespace, c.namespace)
	}
	if r.Method == http.MethodPatch {
		header.Set("Content-Type", "application/merge-patch+json")
	}
	return header
}

// Decode reads the data of an answer. It ignores other fields.
func Decode[T any](c *Client, a *httpx.Answer) (T, error) {
	var envelope struct {
		Data *T `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &envelope); err != nil || envelope.Data == nil {
		var none T
		return none, c.Foreign(a)
	}
	return *envelope.Data, nil
}
