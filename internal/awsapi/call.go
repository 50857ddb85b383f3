package awsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// Endpoint is the place at which a service is called.
type Endpoint struct {
	Service Service
	Region  string // as requests are signed
	URL     *url.URL
}

// Call calls an operation of a service that speaks JSON 1.1. It sends in as
// JSON, and reads out from JSON. Use it for services of which a few operations
// are needed: the SDK's package of a service builds the tables of all operations
// at each start. Its errors have the form of the SDK's. It returns the header of
// the answer.
func (l *Login) Call(ctx context.Context, e Endpoint, name string, in, out any) (http.Header, error) {
	client, address := *l.HTTP, *e.URL
	address.Path += "/"
	client.Transport = signing{inner: l.HTTP.Transport, login: l, endpoint: e}
	answer, err := httpx.Call(ctx, &client, httpx.Request{
		Method: http.MethodPost, URL: &address, Body: in, MaxAnswer: maxCall,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {e.Service.Target + "." + name}},
	})
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: e.Service.ID, OperationName: name, Err: err}
	}
	if failure := read(answer, out); failure != nil {
		response := &http.Response{StatusCode: answer.Status, Header: answer.Header}
		err = &awshttp.ResponseError{RequestID: answer.Header.Get("X-Amzn-Requestid"),
			ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: response}, Err: failure}}
		return nil, &smithy.OperationError{ServiceID: e.Service.ID, OperationName: name, Err: err}
	}
	return answer.Header, nil
}

// maxCall is the limit of an answer, in bytes.
const maxCall = 1 << 20

// read reads the output of an operation, or the error in its place.
func read(answer *httpx.Answer, out any) error {
	if answer.OK() {
		if err := json.Unmarshal(answer.Body, out); err != nil {
			return &smithy.DeserializationError{Err: err}
		}
		return nil
	}
	var refusal struct {
		Type    string `json:"__type"`
		Message string // or message
	}
	_ = json.Unmarshal(answer.Body, &refusal) // what has no code is no error of AWS's
	code, _, _ := strings.Cut(refusal.Type, ":")
	if at := strings.LastIndexByte(code, '#'); at >= 0 {
		code = code[at+1:]
	}
	if code == "" {
		return &smithy.DeserializationError{Err: fmt.Errorf("status %d without a code", answer.Status)}
	}
	return &smithy.GenericAPIError{Code: code, Message: refusal.Message}
}

// signing signs requests.
type signing struct {
	inner    http.RoundTripper
	login    *Login
	endpoint Endpoint
}

// RoundTrip implements http.RoundTripper.
func (s signing) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	credentials, err := s.login.SDK.Credentials.Retrieve(r.Context())
	if err != nil {
		return nil, err
	}
	signed := r.Clone(r.Context())
	if signed.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(r.Context(), credentials, signed, hex.EncodeToString(sum[:]), s.endpoint.Service.Code, s.endpoint.Region, time.Now())
	if err != nil {
		return nil, err
	}
	return s.inner.RoundTrip(signed)
}
