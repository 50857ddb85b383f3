package httpx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/nebula-credential/nebula/provider"
)

// maxRefusal limits the body of an answer with an error status, in bytes.
const maxRefusal = 1 << 20

// Request is one call of an API that speaks JSON.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header

	// Body is encoded as JSON; nil for none. Its content type is
	// application/json unless Header names another.
	Body any

	MaxAnswer int64 // limit of the body of a successful answer, in bytes
}

// Answer is the server's answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK reports whether the status says success.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Call makes one request and reads the answer, whatever its status. It fails if
// no complete answer came: [Server] explains such errors.
func Call(ctx context.Context, client *http.Client, r Request) (*Answer, error) {
	var body []byte
	a, err := Stream(ctx, client, r, func(answer io.Reader) (err error) {
		body, err = ReadAll(answer, r.MaxAnswer)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.OK() {
		a.Body = body
	}
	return a, nil
}

// Stream is [Call] for an answer that comes bit by bit: read is given the body, if
// the status says success. The client must have no limit of the whole time.
func Stream(ctx context.Context, client *http.Client, r Request, read func(io.Reader) error) (*Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	request, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		// The client's error holds the cause of the cancellation, which may be the
		// answer to another request: see errgroup.
		if ended := ctx.Err(); ended != nil && context.Cause(ctx) != ended {
			return nil, ended
		}
		return nil, err
	}
	defer response.Body.Close()
	a := &Answer{Status: response.StatusCode, Header: response.Header}
	if a.OK() {
		return a, read(response.Body)
	}
	a.Body, err = ReadAll(response.Body, maxRefusal)
	return a, err
}

func (r Request) build(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if r.Body != nil {
		encoded, err := json.Marshal(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), body)
	if err != nil {
		return nil, err
	}
	for key, values := range r.Header {
		request.Header[http.CanonicalHeaderKey(key)] = values
	}
	if body != nil && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// WithRetryAfter joins to an error the answer's Retry-After, if it has one.
func WithRetryAfter(err error, a *Answer, now time.Time) error {
	if err == nil || a == nil {
		return err
	}
	var after *provider.RetryAfter
	if after = RetryAfter(a.Header, now); after == nil {
		return err
	}
	return errors.Join(err, after)
}
