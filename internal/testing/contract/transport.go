package contract

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
)

var load = sync.OnceValues(New)

// Transport returns a transport that checks every request and every answer against the
// document. It fails the test on:
//
//   - an answer that the document does not describe;
//   - a success of a request that the document forbids.
//
// A test of a stream cannot use it: it reads whole bodies.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return &transport{t, c, next}
}

type transport struct {
	t        testing.TB
	contract *Contract
	next     http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(&r.Body)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		sent.Body = io.NopCloser(bytes.NewReader(body))
	}
	a, err := t.next.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	t.contract.Exchange(t.t, r, body, a)
	return a, nil
}

// Exchange fails the test if a request with this body succeeds although the document
// forbids it, or if the document does not describe its answer. The body of the answer
// can be read again.
func (c *Contract) Exchange(t testing.TB, r *http.Request, body []byte, a *http.Response) {
	t.Helper()
	checked := r.Clone(r.Context())
	checked.Body = http.NoBody
	if len(body) > 0 {
		checked.Body = io.NopCloser(bytes.NewReader(body))
	}
	forbidden := c.Request(checked)
	if forbidden != nil && a.StatusCode < 400 {
		t.Errorf("%s %s is answered with %d, but the contract forbids it: %v", r.Method, r.URL.RequestURI(), a.StatusCode, forbidden)
	}
	if err := c.Answer(checked, a); err != nil {
		t.Errorf("%s %s, answered with %d: %v", r.Method, r.URL.RequestURI(), a.StatusCode, err)
	}
}
