package vaultapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// Client makes calls to a Vault. It does not use Vault's own client, which reads
// a dozen variables of the environment and sends its token to the target of a
// redirect. Linking that client alone takes a third of a millisecond of each
// start.
type Client struct {
	config    Config
	http      *http.Client
	address   *url.URL
	namespace string
	clock     provider.Clock
	auth      *authenticator

	renewal     sync.WaitGroup
	stopRenewal context.CancelFunc
}

// New returns a client of a valid configuration. It makes no call.
func New(config Config, clock provider.Clock) (*Client, error) {
	address, roots, err := config.resolve()
	if err != nil { // it changed since it was examined
		return nil, err
	}
	c := &Client{
		config: config, address: address, namespace: strings.Trim(config.Namespace, "/"), clock: clock,
		http: httpx.NewClient(httpx.Options{Roots: roots, Transport: config.Transport, MaxBody: MaxAnswer,
			Total: 2 * config.Timeout}),
		stopRenewal: func() {},
	}
	c.auth = &authenticator{config: config.Auth, client: c}
	return c, nil
}

// Host returns the server's host and port, as they were configured.
func (c *Client) Host() string { return c.address.Host }

// Open gets the token, by a login if the method is AppRole, else without a call.
func (c *Client) Open(ctx context.Context) error { return c.auth.begin(ctx) }

// KeepAlive renews the token in the background, until Close. The context of the
// opening does not end it.
func (c *Client) KeepAlive(ctx context.Context, threshold time.Duration, logger *slog.Logger) {
	ctx, c.stopRenewal = context.WithCancel(context.WithoutCancel(ctx))
	r := &renewer{auth: c.auth, clock: c.clock, logger: logger, threshold: threshold, limit: c.config.Timeout}
	c.renewal.Go(func() { r.run(ctx) })
}

// Close ends the renewal and revokes the token if it came from a login of ours.
// The client can be opened again.
func (c *Client) Close() {
	c.stopRenewal()
	c.renewal.Wait()
	c.auth.revoke(context.Background())
	c.auth.set(lease{})
	c.http.CloseIdleConnections()
}

// Call makes a call with the token. If the server refuses the token and another
// one is available, it makes the call again with that.
func (c *Client) Call(ctx context.Context, r Request) (*httpx.Answer, error) {
	l := c.auth.lease()
	r.token = l.token
	a, err := c.Do(ctx, r)
	denied := IsInvalidToken(err) || HasStatus(err, http.StatusForbidden) && l.expired(c.clock.Now())
	if denied {
		other, failed := c.auth.replace(ctx, l.token)
		switch {
		case failed == nil:
			r.token = other
			a, err = c.Do(ctx, r)
		case !errors.Is(failed, errNoOther):
			return nil, failed
		}
	}
	return a, httpx.WithRetryAfter(err, a, c.clock.Now())
}

// setting names a setting in a message.
func (c *Client) setting(name string) string { return c.config.Section + name }

func (c *Client) errNoToken() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "there is no token",
		Hint: "set " + c.setting("auth.token_file") + " or VAULT_TOKEN, or log in: vault login"}
}
