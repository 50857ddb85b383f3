package azureapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// maxAnswer is the limit of an answer, in bytes. A page of 25 secrets with 15
// tags of the greatest length, whose every character is escaped, fits.
const maxAnswer = 4 << 20

// Options say which vault it is, and who asks it.
type Options struct {
	URL     string // of the vault
	Setting string // that has the address, in messages: "vault_url or AZURE_KEYVAULT_URL"
	Section string // of the configuration that has the credential: "storage.azure"

	Credential Credential
	Timeout    time.Duration     // of getting a token; a request has twice that at most
	Transport  http.RoundTripper // nil: one with our limits
	Clock      provider.Clock
	Warn       func(message string) // told of what no call fails for
}

// Vault is a vault for one identity. It sends the SDK's requests, with a token.
// The SDK itself would first send a request without a token, to get a challenge,
// which doubles the calls of a process that makes one. The scope of a vault is
// known, so the token is there before the first call. A challenge comes only if
// the token was refused.
type Vault struct {
	host    string
	setting string
	auth    *authenticator
	http    *http.Client
	clock   provider.Clock
}

// NewVault makes no call.
func NewVault(o Options) (*Vault, error) {
	host, in, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	return &Vault{host: host, setting: o.Setting, clock: o.Clock, auth: newAuthenticator(o, in),
		http: httpx.NewClient(httpx.Options{Transport: o.Transport, MaxBody: maxAnswer, Total: 2 * o.Timeout})}, nil
}

// URL is the address of the vault, as the SDK expects it.
func (v *Vault) URL() string { return "https://" + v.host }

// Host is that of the vault, in lower case.
func (v *Vault) Host() string { return v.host }

// Name is the vault's name, as the commands of az expect it.
func (v *Vault) Name() string {
	name, _, _ := strings.Cut(v.host, ".")
	return name
}

// ClientOptions are for a client of the SDK, which makes one attempt.
func (v *Vault) ClientOptions() azcore.ClientOptions {
	return azcore.ClientOptions{
		Retry:            policy.RetryOptions{MaxRetries: -1},
		Telemetry:        policy.TelemetryOptions{ApplicationID: "nebula"},
		Transport:        v.http,
		PerRetryPolicies: []policy.Policy{v},
	}
}

// Login gets a token, unless there is one. The vault is not asked.
func (v *Vault) Login(ctx context.Context) error {
	_, err := v.auth.bearer(ctx, "")
	return err
}

// Close ends what is under way, and forgets the token: Azure has no way to give
// one back.
func (v *Vault) Close() {
	v.auth.close()
	v.http.CloseIdleConnections()
}

// CloseIdle closes the connections that nothing is sent over. The token stays.
func (v *Vault) CloseIdle() {
	v.auth.client.CloseIdleConnections()
	v.http.CloseIdleConnections()
}

// Do implements [policy.Policy]. A token goes to the vault, and to no other
// host that a list names as the place of its next page.
func (v *Vault) Do(request *policy.Request) (*http.Response, error) {
	if !v.isVault(request.Raw().URL) {
		return nil, errElsewhere()
	}
	ctx := request.Raw().Context()
	token, err := v.auth.bearer(ctx, "")
	if err != nil {
		return nil, err
	}
	response, err := send(request, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	if token, err = v.auth.answer(ctx, token, response.Header.Get("WWW-Authenticate")); err != nil {
		return nil, err
	}
	if err := request.RewindBody(); err != nil {
		return nil, err
	}
	return send(request, token)
}

func (v *Vault) isVault(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), v.host) && (u.Port() == "" || u.Port() == "443")
}

func send(request *policy.Request, token string) (*http.Response, error) {
	request.Raw().Header.Set("Authorization", "Bearer "+token)
	response, err := request.Next()
	if err != nil {
		return nil, &wireError{err}
	}
	return response, nil
}

// wireError is a failure of the connection. The SDK's error for an answer that
// it cannot read has no type of its own. This type tells the two apart.
type wireError struct{ error }

func (e *wireError) Unwrap() error { return e.error }

// newLogins returns a client for the servers that give tokens.
func newLogins(o Options) (*loginTransport, *http.Client) {
	t := &loginTransport{}
	inner := o.Transport
	if o.Credential.Type == ManagedIdentity {
		t.reach = ReachLimit
		if inner == nil {
			// The endpoint is of this machine: a proxy would ask for its own.
			inner = &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
		}
	}
	client := httpx.NewClient(httpx.Options{Transport: inner, MaxBody: maxAnswer, Total: 2 * o.Timeout})
	t.inner = client.Transport
	client.Transport = t
	return t, client
}
