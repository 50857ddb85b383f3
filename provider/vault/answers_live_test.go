package vault_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// If a server answers no more requests, the call makes the attempts of the policy. If
// the server asks for a longer wait than the policy allows, the call is not repeated.
func TestLiveRateLimit(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{})
	wire := &recorder{inner: newTransport(t)}
	c := liveConfig(s, "secret")
	c.Transport = wire
	c.Retry = provider.RetryPolicy{MaxRetries: 4, BaseDelayMS: 10, MaxDelayMS: 20, Multiplier: 1}
	metrics := new(provider.StorageMetrics)
	p := open(t, c, provider.WithMetrics(metrics), provider.OneShot())
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodPost, "sys/quotas/rate-limit/few", map[string]any{"path": "secret", "rate": 1, "interval": "1h"})
	if _, err := p.Retrieve(t.Context(), name); err != nil {
		t.Fatalf("the call that is allowed: %v", err)
	}
	wire.since()
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "429")
	if n := len(wire.since()); n != 5 || metrics.RetryCount() != 4 {
		t.Errorf("%d attempts, want 5; %d retries are counted", n, metrics.RetryCount())
	}
	s.API(t, http.MethodPost, "sys/quotas/config", map[string]any{"enable_rate_limit_response_headers": true})
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrUnavailable, "429")
	if n := len(wire.since()); n != 1 {
		t.Errorf("%d attempts within the hour of Retry-After, want 1", n)
	}
}

// The server's own limit also refuses a record that is too large.
func TestLiveTooLarge(t *testing.T) {
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	c.Retry.MaxRetries = 0
	name, _ := record(t, "x", "", nil)
	wants(t, vault.StoreUnchecked(t.Context(), c, name, strings.Repeat("r", 1<<20+1)), nebula.ErrTooLarge, "than the server allows")
	if err := vault.StoreUnchecked(t.Context(), c, name, strings.Repeat("r", 1_000_000)); err != nil {
		t.Errorf("a record at Nebula's own limit: %v", err)
	}
}

// namespaces records which calls were for a namespace. The test server has none, so
// the header does not reach it.
type namespaces struct {
	inner http.RoundTripper
	mu    sync.Mutex
	of    map[string][]string // namespaces by method and path
}

func (n *namespaces) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	n.mu.Lock()
	call := r.Method + " " + r.URL.Path
	n.of[call] = append(n.of[call], strings.Join(r.Header.Values("X-Vault-Namespace"), ","))
	n.mu.Unlock()
	r.Header.Del("X-Vault-Namespace")
	return n.inner.RoundTrip(r)
}

func (n *namespaces) saw(end string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for call := range n.of {
		if strings.HasSuffix(call, end) {
			return true
		}
	}
	return false
}

// Every call is for the namespace, except the two that only the root namespace
// answers.
func TestLiveNamespace(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	wire := &namespaces{inner: newTransport(t), of: make(map[string][]string)}
	c := liveConfig(s, s.Mount(t, 2))
	c.Namespace, c.Transport = "/team/a/", wire
	given := c
	rules := s.Policy(t, policy(c.MountPath))
	given.Auth.Token = nebula.NewSecret([]byte(s.Token(t, map[string]any{"policies": []string{rules}, "ttl": "1h"})))
	authMount, roleID, secretID := s.AppRole(t, map[string]any{"token_policies": []string{rules}, "token_ttl": "3s"})
	c.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID, SecretID: nebula.NewSecret([]byte(secretID))}
	p := open(t, c)
	open(t, given) // its token is looked up
	useAll(t, p)
	for end := time.Now().Add(30 * time.Second); !wire.saw("/renew-self") || !wire.saw("/lookup-self"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the tokens were not looked up and renewed")
		}
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Close(); err != nil {
		t.Fatal(err)
	}
	root := []string{"GET /v1/sys/health", "GET /v1/sys/seal-status"}
	for call, all := range wire.of {
		want := "team/a"
		if slices.Contains(root, call) {
			want = ""
		}
		for _, got := range all {
			if got != want {
				t.Errorf("%s was for the namespace %q, want %q", call, got, want)
			}
		}
	}
	ends := append([]string{"/login", "/lookup-self", "/renew-self", "/revoke-self", "/sys/capabilities-self",
		"/metadata/" + c.PathPrefix + "/", "/metadata/" + c.PathPrefix + "/x", "/data/" + c.PathPrefix + "/x",
		"/delete/" + c.PathPrefix + "/x", "/undelete/" + c.PathPrefix + "/x", "/config", "/sys/internal/ui/mounts/" + c.MountPath}, root...)
	for _, end := range ends {
		if !wire.saw(end) {
			t.Errorf("no call of the test went to %s", end)
		}
	}
}

// useAll calls everything that a provider can do.
func useAll(t *testing.T, p nebula.Provider) {
	t.Helper()
	ctx := t.Context()
	name, e := record(t, "x", "v", map[string]string{"k": "v"})
	v, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	if err == nil {
		v, err = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	}
	steps := []func() error{
		func() error { _, err := p.Retrieve(ctx, name); return err },
		func() error { _, err := p.Exists(ctx, name); return err },
		func() error { return pages(ctx, p, nebula.Filter{}) },
		func() error { return pages(ctx, p, nebula.Filter{Tags: map[string]string{"k": "v"}}) },
		func() error { h, _ := nebula.As[nebula.Historian](p); _, err := h.History(ctx, name); return err },
		func() error {
			r, _ := nebula.As[nebula.VersionRetriever](p)
			_, err := r.RetrieveVersion(ctx, name, v)
			return err
		},
		func() error { _, err := p.Delete(ctx, name, nebula.Precondition{}); return err },
		func() error { r, _ := nebula.As[nebula.Restorer](p); return r.Restore(ctx, name) },
		func() error { r, _ := nebula.As[nebula.Purger](p); _, err := r.Purge(ctx, name); return err },
		func() error { c, _ := nebula.As[nebula.Checker](p); c.Check(ctx); return nil },
	}
	for i := 0; err == nil && i < len(steps); i++ {
		err = steps[i]()
	}
	if err != nil {
		t.Fatal(err)
	}
}
