package azure

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/singleflight"

	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// reachLimit is how long it may take to connect to the endpoint of managed
	// identities, which is on this machine or its host. Off Azure nothing is there.
	reachLimit = time.Second

	// toolsLimit is for az and azd, which are slow to start.
	toolsLimit = 30 * time.Second

	// earliest is how long before its end a token is replaced, at most, and
	// refreshPause how long nothing is tried after that failed.
	earliest     = 5 * time.Minute
	refreshPause = 30 * time.Second
)

// authenticator knows the token, and how to get another one. The SDK's own
// cache is left out: it waits without regard to contexts, asks for a challenge
// first, and gives a token that was refused again.
type authenticator struct {
	config Credential
	cloud  azureCloud
	clock  provider.Clock
	limit  time.Duration // of getting a token, but for developer tools
	logins *loginTransport
	client *http.Client // with that transport
	warn   func(message string)

	// Getting a token belongs to all that wait for it, and ends with running.
	running context.Context
	stop    context.CancelFunc
	flight  singleflight.Group

	mu      sync.Mutex
	current token
	tenant  string // of the vault, as it said; for developer tools
}

// token is one that was given, and its life by our clock.
type token struct {
	text             string
	refresh, expires time.Time
}

// bearer returns a token that is not the refused one. Of many that ask at once,
// one gets it. Near its end it is replaced, and used on while that fails.
func (a *authenticator) bearer(ctx context.Context, refused string) (string, error) {
	now := a.clock.Now()
	current := a.held()
	usable := current.text != "" && current.text != refused && now.Before(current.expires)
	if usable && now.Before(current.refresh) {
		return current.text, nil
	}
	fresh, err := a.fetch(ctx, refused)
	if err != nil && usable {
		a.warn("the token could not be replaced before its end")
		a.postpone(current, now.Add(refreshPause))
		return current.text, nil
	}
	return fresh, err
}

func (a *authenticator) held() token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

func (a *authenticator) hold(t token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = t
}

func (a *authenticator) postpone(of token, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current.text == of.text {
		a.current.refresh = until
	}
}

// fetch gets a token, or waits for the one that is being got.
func (a *authenticator) fetch(ctx context.Context, refused string) (string, error) {
	for range 2 {
		result := a.flight.DoChan("", func() (any, error) { return a.fly(refused) })
		select {
		case r := <-result:
			// Who joined the flight of another may get what was refused here.
			if text, _ := r.Val.(string); r.Err != nil || text != refused {
				return text, r.Err
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", errSameToken()
}

func (a *authenticator) fly(refused string) (string, error) {
	if t := a.held(); t.text != refused && a.clock.Now().Before(t.refresh) {
		return t.text, nil // another flight was faster
	}
	ctx, cancel := context.WithTimeout(a.running, a.limit)
	defer cancel()
	t, err := a.acquire(ctx)
	if err != nil {
		return "", err
	}
	a.hold(t)
	return t.text, nil
}

// close ends what is under way, and forgets the token.
func (a *authenticator) close() {
	a.stop()
	_, _, _ = a.flight.Do("", func() (any, error) { return "", nil }) // waits for the one that flies
	a.hold(token{})
	a.client.CloseIdleConnections()
}

// acquire asks for a token. Everything is made anew: files are read each time,
// and no cache gives a token that was refused before.
func (a *authenticator) acquire(ctx context.Context) (token, error) {
	asked := policy.TokenRequestOptions{Scopes: []string{a.cloud.resource + "/.default"}}
	a.logins.begin()
	var got azcore.AccessToken
	var err error
	switch a.config.Type {
	case managedIdentity:
		got, err = a.ofMachine(ctx, asked)
	case servicePrincipal:
		got, err = a.ofPrincipal(ctx, asked)
	case workloadIdentity:
		got, err = a.ofWorkload(ctx, asked)
	default:
		got, err = a.ofTools(ctx, asked)
	}
	if err != nil {
		status, failure := a.logins.outcome()
		return token{}, &loginError{status: status, failure: failure, err: err, ended: ctx.Err()}
	}
	// The SDK counts by the system's clock.
	now, life := a.clock.Now(), time.Until(got.ExpiresOn)
	ahead := min(earliest, life/5)
	if early := time.Until(got.RefreshOn); !got.RefreshOn.IsZero() && early > 0 && early < life {
		ahead = life - early
	}
	return token{text: got.Token, expires: now.Add(life), refresh: now.Add(life - ahead)}, nil
}

func (a *authenticator) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: "https://" + a.cloud.login + "/"},
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "nebula"},
		Transport: a.client,
	}
}

func (a *authenticator) ofMachine(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: a.options()}
	if a.config.ClientID != "" {
		options.ID = azidentity.ClientID(a.config.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	// Claims are not sent to these endpoints. With them the SDK passes by its
	// cache, which the whole process shares.
	asked.Claims = "{}"
	return credential.GetToken(ctx, asked)
}

func (a *authenticator) ofPrincipal(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	secret, err := a.config.secret()
	if err != nil {
		return azcore.AccessToken{}, err
	}
	// The login's host is one of our list: asking it whether it is one of
	// Microsoft's costs a call and tells nothing.
	credential, err := azidentity.NewClientSecretCredential(a.config.TenantID, a.config.ClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: a.options(), DisableInstanceDiscovery: true})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return credential.GetToken(ctx, asked)
}

func (a *authenticator) ofWorkload(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	credential, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: a.options(), DisableInstanceDiscovery: true,
		TenantID: a.config.TenantID, ClientID: a.config.ClientID, TokenFilePath: a.config.FederatedTokenFile})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return credential.GetToken(ctx, asked)
}

// secret returns that of a service principal.
func (c Credential) secret() (string, error) {
	if c.ClientSecretFile != "" {
		return httpx.ReadSecretFile("credential.client_secret_file", c.ClientSecretFile)
	}
	secret := strings.TrimSpace(string(c.ClientSecret.Reveal()))
	return secret, httpx.CheckToken("AZURE_CLIENT_SECRET", secret)
}

// ofTools asks az, and azd where that gives none.
func (a *authenticator) ofTools(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if asked.TenantID = a.config.TenantID; asked.TenantID == "" {
		asked.TenantID = a.vaultTenant()
	}
	az, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: a.config.TenantID})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	got, err := az.GetToken(ctx, asked)
	if err == nil {
		return got, nil
	}
	azd, failed := azidentity.NewAzureDeveloperCLICredential(&azidentity.AzureDeveloperCLICredentialOptions{TenantID: a.config.TenantID})
	if failed != nil {
		return azcore.AccessToken{}, err
	}
	if got, failed = azd.GetToken(ctx, asked); failed == nil {
		return got, nil
	}
	return azcore.AccessToken{}, err
}

func (a *authenticator) vaultTenant() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tenant
}

// loginTransport notes what came of the requests for a token: the SDK's errors
// do not tell why nothing answered.
type loginTransport struct {
	inner http.RoundTripper
	reach time.Duration // to connect in; 0 for no limit of its own

	mu      sync.Mutex
	status  int
	failure error
}

func (t *loginTransport) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status, t.failure = 0, nil
}

func (t *loginTransport) outcome() (status int, failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.failure
}

// RoundTrip implements [http.RoundTripper].
func (t *loginTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	connecting := func() {}
	if t.reach > 0 {
		// What is cancelled is freed with the request's own context.
		ctx, cancel := context.WithCancelCause(r.Context())
		timer := time.AfterFunc(t.reach, func() { cancel(errUnreached) })
		connecting = func() { timer.Stop() }
		r = r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { timer.Stop() }}))
	}
	response, err := t.inner.RoundTrip(r)
	connecting()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.status, t.failure = 0, err
		if cause := context.Cause(r.Context()); cause != nil {
			t.failure = cause
		}
		return nil, err
	}
	t.status, t.failure = response.StatusCode, nil
	return response, nil
}

// CloseIdleConnections lets the client's method through.
func (t *loginTransport) CloseIdleConnections() {
	if c, ok := t.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// challenge is what a vault says to whom it does not know.
type challenge struct {
	login, tenant string // of authorization="https://LOGIN/TENANT"
	resource      string
}

// parseChallenge reads a header WWW-Authenticate.
func parseChallenge(header string) (c challenge, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return challenge{}, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(key) {
		case "authorization", "authorization_uri":
			host, ok := strings.CutPrefix(value, "https://")
			if !ok {
				return challenge{}, false
			}
			c.login, c.tenant, _ = strings.Cut(host, "/")
		case "resource", "scope":
			c.resource = strings.TrimSuffix(strings.TrimSuffix(value, "/.default"), "/")
		}
	}
	return c, c.login != "" && isGUID(c.tenant) && c.resource != ""
}

// answer returns another token for a vault that refused one, if what it asks
// for is what we have to give.
func (a *authenticator) answer(ctx context.Context, refused, header string) (string, error) {
	c, ok := parseChallenge(header)
	switch {
	case !ok && header != "":
		return "", errForeignChallenge()
	case !ok:
	case c.resource != a.cloud.resource, !a.isLogin(c.login):
		return "", errForeignChallenge()
	case a.config.Type == managedIdentity: // of the one tenant that it has
	case a.config.TenantID == "":
		a.mu.Lock()
		a.tenant = c.tenant
		a.mu.Unlock()
	case !strings.EqualFold(c.tenant, a.config.TenantID):
		return "", errOtherTenant(c.tenant, a.config.TenantID)
	}
	return a.bearer(ctx, refused)
}

// isLogin reports whether a host is the cloud's login, by its name of today or
// the one of before 2023.
func (a *authenticator) isLogin(host string) bool {
	return strings.EqualFold(host, a.cloud.login) ||
		a.cloud.login == "login.microsoftonline.com" && strings.EqualFold(host, "login.windows.net")
}
