package azureapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// loginTransport notes the outcome of requests for a token: the SDK's errors do
// not say why nothing answered, and do not always contain the answer.
type loginTransport struct {
	inner http.RoundTripper
	reach time.Duration // to connect in; 0 for no limit of its own

	mu      sync.Mutex
	outcome outcome
}

// outcome is the outcome of a request.
type outcome struct {
	status    int // 0 if no answer came
	host      string
	challenge string // the header WWW-Authenticate
	body      []byte // of a refusal
	failure   error  // on the way
}

func (t *loginTransport) begin() { t.note(outcome{}) }

func (t *loginTransport) note(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome = o
}

// last returns the outcome of the last request.
func (t *loginTransport) last() outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcome
}

// RoundTrip implements [http.RoundTripper].
func (t *loginTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	connecting := func() {}
	if t.reach > 0 {
		// The request's own context frees the cancelled one.
		ctx, cancel := context.WithCancelCause(r.Context())
		timer := time.AfterFunc(t.reach, func() { cancel(errUnreached) })
		connecting = func() { timer.Stop() }
		r = r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { timer.Stop() }}))
	}
	response, err := t.inner.RoundTrip(r)
	connecting()
	o := outcome{host: r.URL.Hostname()}
	if err != nil {
		if o.failure = context.Cause(r.Context()); o.failure == nil {
			o.failure = err
		}
		t.note(o)
		return nil, err
	}
	o.status, o.challenge = response.StatusCode, response.Header.Get("WWW-Authenticate")
	if response.StatusCode >= http.StatusBadRequest {
		o.body, err = httpx.ReadAll(response.Body, maxAnswer)
		response.Body.Close()
		if err != nil {
			o.status, o.failure = 0, err
			t.note(o)
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(o.body))
	}
	t.note(o)
	return response, nil
}

// CloseIdleConnections lets the client's method through.
func (t *loginTransport) CloseIdleConnections() {
	if c, ok := t.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
