package azure

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// maxAnswer is the limit of an answer, in bytes. A page of 25 secrets with 15
// tags of the greatest length, whose every character is escaped, fits.
const maxAnswer = 4 << 20

// wire sends the SDK's requests, with a token. The SDK's own way to one asks
// without a token first, for a challenge, and that is twice the calls of a
// process that makes one: the scope of a vault is known, so the token is there
// before the first call. A challenge comes only if it was refused.
type wire struct {
	host string
	auth *authenticator
}

// newClient returns the SDK's client, which makes one attempt.
func (w *wire) newClient(transport *http.Client) (*azsecrets.Client, error) {
	return azsecrets.NewClient(vaultURL(w.host), nil, &azsecrets.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry:            policy.RetryOptions{MaxRetries: -1},
		Telemetry:        policy.TelemetryOptions{ApplicationID: "nebula"},
		Transport:        transport,
		PerRetryPolicies: []policy.Policy{w},
	}})
}

// Do implements [policy.Policy]. A token goes to the vault, and to no other
// host that a list names as the place of its next page.
func (w *wire) Do(request *policy.Request) (*http.Response, error) {
	if !w.isVault(request.Raw().URL) {
		return nil, errElsewhere()
	}
	ctx := request.Raw().Context()
	token, err := w.auth.bearer(ctx, "")
	if err != nil {
		return nil, err
	}
	response, err := send(request, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	if token, err = w.auth.answer(ctx, token, response.Header.Get("WWW-Authenticate")); err != nil {
		return nil, err
	}
	if err := request.RewindBody(); err != nil {
		return nil, err
	}
	return send(request, token)
}

func (w *wire) isVault(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), w.host) && (u.Port() == "" || u.Port() == "443")
}

func send(request *policy.Request, token string) (*http.Response, error) {
	request.Raw().Header.Set("Authorization", "Bearer "+token)
	response, err := request.Next()
	if err != nil {
		return nil, &wireError{err}
	}
	return response, nil
}

// wireError is a failure on the way. What the SDK says of an answer that it
// cannot read has no type of its own, and is told from these.
type wireError struct{ error }

func (e *wireError) Unwrap() error { return e.error }

// read makes a call that reads, within the limit of time of one, and returns
// its answer.
func read[T any](ctx context.Context, d *driver, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	return call(ctx)
}

// write makes a call that changes what is stored under a name, within the time
// limit of one, and returns its answer.
func write[T any](ctx context.Context, d *driver, name nebula.Name, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d.config.Timeout)
	defer cancel()
	return provider.Change(ctx, &d.changes, name, call)
}

// inOrder makes calls that read what is stored under a name, once the changes
// of that name that were given up have ended.
func inOrder[T any](ctx context.Context, d *driver, name nebula.Name, call func(context.Context) (T, error)) (T, error) {
	return provider.Change(ctx, &d.changes, name, call)
}

// newTransport returns a client for vaults.
func newTransport(c Config) *http.Client {
	return httpx.NewClient(httpx.Options{Transport: c.Transport, MaxBody: maxAnswer, Total: 2 * c.Timeout})
}

// newLogins returns a client for what gives tokens.
func newLogins(c Config) (*loginTransport, *http.Client) {
	t := &loginTransport{}
	inner := c.Transport
	if c.Credential.Type == managedIdentity {
		t.reach = reachLimit
		if inner == nil {
			// The endpoint is of this machine: a proxy would ask for its own.
			inner = &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
		}
	}
	client := httpx.NewClient(httpx.Options{Transport: inner, MaxBody: maxAnswer, Total: 2 * c.Timeout})
	t.inner = client.Transport
	client.Transport = t
	return t, client
}
