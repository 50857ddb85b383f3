package azureapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/sync/singleflight"

	"github.com/nebula-credential/nebula/provider"
)

const (
	// ReachLimit is how long it may take to connect to the endpoint of managed
	// identities, which is on this machine or its host. Off Azure nothing is there.
	ReachLimit = time.Second

	// toolsLimit is for az and azd, which are slow to start.
	toolsLimit = 30 * time.Second

	// maxAhead is how long before its end a token is replaced, at most, and
	// refreshPause how long nothing is tried after that failed.
	maxAhead     = 5 * time.Minute
	refreshPause = 30 * time.Second
)

// authenticator knows the token, and how to get another one. It does not use
// the SDK's own cache, which ignores contexts while it waits, asks for a
// challenge first, and returns a refused token again.
type authenticator struct {
	config  Credential
	setting string // with the vault's address, in messages
	section string // with the credential
	cloud   cloud
	clock   provider.Clock
	limit   time.Duration // of getting a token, but for developer tools
	logins  *loginTransport
	client  *http.Client // with that transport
	warn    func(message string)

	// All that wait for a token share one request. It ends with running.
	running context.Context
	stop    context.CancelFunc
	flight  singleflight.Group

	mu      sync.Mutex
	current token
	tenant  string // of the vault, as it said; for developer tools
}

func newAuthenticator(o Options, in cloud) *authenticator {
	a := &authenticator{config: o.Credential, setting: o.Setting, section: o.Section, cloud: in, clock: o.Clock, limit: o.Timeout, warn: o.Warn}
	if o.Credential.Type == DeveloperTools {
		a.limit = toolsLimit
	}
	a.logins, a.client = newLogins(o)
	a.running, a.stop = context.WithCancel(context.Background())
	return a
}

// token is a token as it was issued, with its life by our clock.
type token struct {
	text             string
	refresh, expires time.Time
}

// bearer returns a token that is not the refused one. If many ask at once, one
// of them gets it. Near its end the token is replaced. While that fails, it
// stays in use.
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

// fetch gets a token, or waits for the request that is under way.
func (a *authenticator) fetch(ctx context.Context, refused string) (string, error) {
	for range 2 {
		result := a.flight.DoChan("", func() (any, error) { return a.fly(refused) })
		select {
		case r := <-result:
			// A request that was under way already may bring the refused token.
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
	_, _, _ = a.flight.Do("", func() (any, error) { return "", nil }) // waits for the request under way
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
	case ManagedIdentity:
		got, err = a.ofMachine(ctx, asked)
	case ServicePrincipal:
		got, err = a.ofPrincipal(ctx, asked)
	case WorkloadIdentity:
		got, err = a.ofWorkload(ctx, asked)
	default:
		got, err = a.ofTools(ctx, asked)
	}
	if err != nil {
		return token{}, &loginError{outcome: a.logins.last(), err: err, ended: ctx.Err()}
	}
	// The SDK counts by the system's clock.
	now, life := a.clock.Now(), time.Until(got.ExpiresOn)
	ahead := min(maxAhead, life/5)
	if early := time.Until(got.RefreshOn); !got.RefreshOn.IsZero() && early > 0 && early < life {
		ahead = life - early
	}
	return token{text: got.Token, expires: now.Add(life), refresh: now.Add(life - ahead)}, nil
}

func (a *authenticator) vaultTenant() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tenant
}
