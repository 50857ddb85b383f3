package vaultapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// authenticator knows the token, and how to get another one.
type authenticator struct {
	config Auth
	client *Client

	flight singleflight.Group

	mu      sync.Mutex
	current lease
}

// lease is a token and what is known of its life.
type lease struct {
	token     string
	ours      bool          // by a login of ours: ours to revoke
	ttl       time.Duration // when it was given or renewed; 0: not known, or without an end
	since     time.Time
	renewable bool
	limited   bool // in the number of its uses
	batch     bool
}

// expired reports a token whose life is known to be over.
func (l lease) expired(now time.Time) bool { return l.ttl > 0 && now.Sub(l.since) >= l.ttl }

func (a *authenticator) lease() lease {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

func (a *authenticator) set(l lease) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = l
}

// extend notes a renewal, unless another token has replaced this one meanwhile.
func (a *authenticator) extend(l lease) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current.token == l.token {
		a.current = l
	}
}

// begin gets the first token. A token that is given costs no call.
func (a *authenticator) begin(ctx context.Context) error {
	if a.lease().token != "" {
		return nil
	}
	_, err := a.replace(ctx, "")
	return err
}

// replace returns another token than the refused one. If many ask at once, one
// logs in. It fails if there is no other token.
func (a *authenticator) replace(ctx context.Context, refused string) (string, error) {
	if l := a.lease(); l.token != refused {
		return l.token, nil
	}
	// The login belongs to all that wait for it: it does not end with the
	// context of the one that came first.
	result := a.flight.DoChan(refused, func() (any, error) {
		if l := a.lease(); l.token != refused {
			return l.token, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.client.config.Timeout)
		defer cancel()
		l, err := a.acquire(ctx)
		if err == nil && l.token == refused {
			err = errNoOther
		}
		if err != nil {
			return "", err
		}
		a.set(l)
		return l.token, nil
	})
	select {
	case r := <-result:
		token, _ := r.Val.(string)
		return token, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// errNoOther says that the refused token is the only one at hand.
var errNoOther = errors.New("there is no other token")

func (a *authenticator) acquire(ctx context.Context) (lease, error) {
	if a.config.Method == MethodAppRole {
		return a.login(ctx)
	}
	token, err := a.givenToken()
	return lease{token: token, since: a.client.clock.Now()}, err
}

// givenToken returns the token of the configuration, or the one that "vault
// login" left. Files are read each time: an agent may have written a new one.
func (a *authenticator) givenToken() (string, error) {
	if a.config.TokenFile != "" {
		return httpx.ReadSecretFile(a.client.setting("auth.token_file"), a.config.TokenFile)
	}
	if token := strings.TrimSpace(string(a.config.Token.Reveal())); token != "" {
		return token, httpx.CheckToken("the token", token)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", a.client.errNoToken()
	}
	path := filepath.Join(home, ".vault-token")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", a.client.errNoToken()
	}
	return httpx.ReadSecretFile("the token file", path)
}

// login returns a token of the AppRole.
func (a *authenticator) login(ctx context.Context) (lease, error) {
	secretID := strings.TrimSpace(string(a.config.SecretID.Reveal()))
	if a.config.SecretIDFile != "" {
		var err error
		if secretID, err = httpx.ReadSecretFile(a.client.setting("auth.secret_id_file"), a.config.SecretIDFile); err != nil {
			return lease{}, err
		}
	}
	began := a.client.clock.Now()
	answer, err := a.client.Do(ctx, Request{Method: http.MethodPost, Path: "auth/" + strings.TrimSuffix(a.config.MountPath, "/") + "/login",
		Body: map[string]string{"role_id": a.config.RoleID, "secret_id": secretID}})
	if err != nil {
		return lease{}, err
	}
	l, err := a.decodeLease(answer, began)
	l.ours = true
	return l, err
}

// renew asks for a longer life of the token.
func (a *authenticator) renew(ctx context.Context, l lease) (lease, error) {
	began := a.client.clock.Now()
	answer, err := a.client.Do(ctx, Request{Method: http.MethodPost, Path: "auth/token/renew-self", token: l.token, Body: struct{}{}})
	if err != nil {
		return lease{}, err
	}
	renewed, err := a.decodeLease(answer, began)
	renewed.token, renewed.ours = l.token, l.ours
	return renewed, err
}

// decodeLease reads the "auth" of an answer. It counts the life from before the
// call, so that it never seems longer than it is.
func (a *authenticator) decodeLease(answer *httpx.Answer, began time.Time) (lease, error) {
	var body struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"`
			Renewable     bool   `json:"renewable"`
			NumUses       int    `json:"num_uses"`
			TokenType     string `json:"token_type"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil || body.Auth.ClientToken == "" {
		return lease{}, a.client.Foreign(answer)
	}
	return lease{
		token: body.Auth.ClientToken, since: began, ttl: seconds(body.Auth.LeaseDuration),
		renewable: body.Auth.Renewable, limited: body.Auth.NumUses > 0, batch: body.Auth.TokenType == "batch",
	}, nil
}

// lookUp asks for the remaining life of a token that was given.
func (a *authenticator) lookUp(ctx context.Context, l lease) (lease, error) {
	began := a.client.clock.Now()
	answer, err := a.client.Do(ctx, Request{Method: http.MethodGet, Path: "auth/token/lookup-self", token: l.token})
	if err != nil {
		return lease{}, err
	}
	data, err := Decode[struct {
		TTL       int64  `json:"ttl"`
		Renewable bool   `json:"renewable"`
		NumUses   int    `json:"num_uses"`
		Type      string `json:"type"`
	}](a.client, answer)
	if err != nil {
		return lease{}, err
	}
	return lease{token: l.token, ours: l.ours, since: began, ttl: seconds(data.TTL), renewable: data.Renewable,
		limited: data.NumUses > 0, batch: data.Type == "batch"}, nil
}

func seconds(n int64) time.Duration { return time.Duration(max(0, min(n, 1<<32))) * time.Second }

// revoke ends a token of ours. Nobody waits long for it: it ends by itself.
func (a *authenticator) revoke(ctx context.Context) {
	l := a.lease()
	if !l.ours || l.batch || l.expired(a.client.clock.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, _ = a.client.Do(ctx, Request{Method: http.MethodPost, Path: "auth/token/revoke-self", token: l.token, Body: struct{}{}, Silent: true})
}

func (a *authenticator) hint() string {
	if a.config.Method == MethodAppRole {
		return "the AppRole was asked for another one"
	}
	return "get another one: vault login, or the file of " + a.client.setting("auth.token_file")
}
