package vault_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// count returns how many calls went to a path with that ending.
func count(calls []string, end string) (n int) {
	for _, call := range calls {
		if strings.HasSuffix(call, end) {
			n++
		}
	}
	return n
}

// hammer lets 50 goroutines call for a while, with a pause after each call, and
// returns the first failure.
func hammer(t *testing.T, p nebula.Provider, long, pause time.Duration) error {
	t.Helper()
	name, _ := record(t, "x", "", nil)
	var group sync.WaitGroup
	var mu sync.Mutex
	var first error
	end := time.Now().Add(long)
	for range 50 {
		group.Go(func() {
			for time.Now().Before(end) {
				if _, err := p.Exists(t.Context(), name); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					return
				}
				time.Sleep(pause)
			}
		})
	}
	group.Wait()
	return first
}

// Tokens that live for seconds last for a minute of work. A given token is renewed. A
// role's token ends for good after 40 seconds, and one login gets the next one. A
// slow machine has a third of the life, 3 seconds, to renew it.
func TestLiveTokensLastForAMinute(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	rules := s.Policy(t, policy(mount))
	given, byRole := liveConfig(s, mount), liveConfig(s, mount)
	given.Auth.Token = nebula.NewSecret([]byte(s.Token(t, map[string]any{"policies": []string{rules}, "ttl": "9s", "renewable": true})))
	authMount, roleID, secretID := s.AppRole(t, map[string]any{"token_policies": []string{rules},
		"token_ttl": "9s", "token_max_ttl": "40s"})
	byRole.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID, SecretID: nebula.NewSecret([]byte(secretID))}
	var group sync.WaitGroup
	for what, c := range map[string]struct {
		config          vault.Config
		logins, lookUps int
	}{"given": {given, 0, 1}, "by role": {byRole, 2, 0}} {
		wire := &recorder{inner: newTransport(t)}
		c.config.Transport = wire
		p := open(t, c.config)
		group.Go(func() {
			if err := hammer(t, p, time.Minute, 500*time.Millisecond); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			calls := wire.since()
			if n := count(calls, "/login"); n != c.logins {
				t.Errorf("%s: %d logins, want %d", what, n, c.logins)
			}
			if n := count(calls, "lookup-self"); n != c.lookUps {
				t.Errorf("%s: %d look-ups, want %d", what, n, c.lookUps)
			}
			if n := count(calls, "renew-self"); n < 5 || n > 20 {
				t.Errorf("%s: %d renewals", what, n)
			}
		})
	}
	group.Wait()
}

// If AppRole tokens can be renewed only for a short time, the role is asked for
// another one, again and again, and no caller sees a failure. A machine may be 2
// seconds late.
func TestLiveAppRoleLogsInAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	authMount, roleID, secretID := s.AppRole(t, map[string]any{"token_policies": []string{s.Policy(t, policy(mount))},
		"token_ttl": "6s", "token_max_ttl": "9s"})
	wire := &recorder{inner: newTransport(t)}
	c := liveConfig(s, mount)
	c.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID, SecretID: nebula.NewSecret([]byte(secretID))}
	c.Transport = wire
	p := open(t, c)
	if err := hammer(t, p, 21*time.Second, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	// A caller that finds its token ended also logs in, at most as often as tokens
	// end.
	calls := wire.since()
	if n := count(calls, "/login"); n < 3 || n > 8 {
		t.Errorf("%d logins in 21 seconds", n)
	}
	if n := count(calls, "renew-self"); n > 12 {
		t.Errorf("%d renewals in 21 seconds", n)
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Close(); err != nil {
		t.Error(err)
	}
	wire.since()
	if time.Sleep(6 * time.Second); len(wire.since()) != 0 {
		t.Error("the renewal goes on after Close")
	}
}

// If many callers meet a revoked token, one login serves them all.
func TestLiveOneLoginForAll(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	authMount, roleID, secretID := s.AppRole(t, map[string]any{"token_policies": []string{s.Policy(t, policy(mount))}})
	wire := &recorder{inner: newTransport(t)}
	c := liveConfig(s, mount)
	file := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(file, []byte(secretID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID, SecretIDFile: file}
	c.Transport = wire
	p := open(t, c, provider.OneShot())
	s.API(t, http.MethodPost, "sys/leases/revoke-prefix/auth/"+authMount, nil)
	name, _ := record(t, "x", "", nil)
	begin, failures := make(chan struct{}), make(chan error, 100)
	for range 100 {
		go func() {
			<-begin
			_, err := p.Exists(t.Context(), name)
			failures <- err
		}()
	}
	close(begin)
	for range 100 {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if n := count(wire.since(), "/login"); n != 2 {
		t.Errorf("%d logins, want the first and one more", n)
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Close(); err != nil || count(wire.since(), "revoke-self") != 1 {
		t.Errorf("close: %v, the token was not revoked once", err)
	}
}

// If a token has few uses, only the requested calls use it. If it never ends, it is
// looked up once and left alone.
func TestLiveQuietTokens(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	name, _ := record(t, "x", "", nil)
	c := liveConfig(s, mount)
	token := s.Token(t, map[string]any{"policies": []string{s.Policy(t, policy(mount))}, "num_uses": 3})
	c.Auth.Token = nebula.NewSecret([]byte(token))
	p := open(t, c, provider.OneShot())
	for i := range 3 {
		if _, err := p.Exists(t.Context(), name); err != nil {
			t.Fatalf("use %d: %v", i, err)
		}
	}
	if _, err := p.Exists(t.Context(), name); !errors.Is(err, nebula.ErrUnauthenticated) {
		t.Errorf("a used-up token: %v", err)
	}
	wire := &recorder{inner: newTransport(t)}
	c = liveConfig(s, mount) // the root token
	c.Transport = wire
	open(t, c)
	time.Sleep(2500 * time.Millisecond)
	if calls := wire.since(); len(calls) != 1 || count(calls, "lookup-self") != 1 {
		t.Errorf("a token without an end: %q", calls)
	}
}

// If a token is refused, its file is read again, because an agent may have replaced
// it.
func TestLiveTokenFile(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	first := s.Token(t, map[string]any{"policies": []string{s.Policy(t, policy(mount))}})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	c := liveConfig(s, mount)
	c.Auth.TokenFile = file
	p := open(t, c, provider.OneShot())
	name, _ := record(t, "x", "", nil)
	if _, err := p.Exists(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": first})
	if _, err := p.Exists(t.Context(), name); !errors.Is(err, nebula.ErrUnauthenticated) || strings.Contains(err.Error(), first) {
		t.Errorf("a revoked token: %v", err)
	}
	write(s.RootToken)
	if _, err := p.Exists(t.Context(), name); err != nil {
		t.Errorf("after a new token was written: %v", err)
	}
}

// A refusal names what is missing: path and capability, the role, the engine.
func TestLiveRefusals(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	name, e := record(t, "x", "v", nil)
	poor := s.Token(t, map[string]any{"policies": []string{s.Policy(t, `path "`+mount+`/data/*" { capabilities = ["read"] }`)}})
	c := liveConfig(s, mount)
	c.Auth.Token = nebula.NewSecret([]byte(poor))
	p := open(t, c, provider.OneShot())
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "create and update", mount+"/data/"+c.PathPrefix+"/x", mount+"/data/"+c.PathPrefix+"/*")
	_, err = p.Exists(t.Context(), name)
	wants(t, err, nebula.ErrPermissionDenied, "read", mount+"/metadata/")
	wants(t, pages(t.Context(), p, nebula.Filter{}), nebula.ErrPermissionDenied, "list")
	_, err = p.Delete(t.Context(), name, nebula.Precondition{})
	wants(t, err, nebula.ErrPermissionDenied, "read", mount+"/metadata/")
	checker, _ := nebula.As[nebula.Checker](p)
	var lines []string
	for _, f := range checker.Check(t.Context()) {
		if f.Severity == nebula.SeverityError {
			lines = append(lines, f.Fix)
		}
	}
	if len(lines) != 5 || !strings.Contains(lines[0], `"patch"`) {
		t.Errorf("doctor asks for %d lines: %q", len(lines), lines)
	}

	for what, configure := range map[string]func(*vault.Config){
		"no mount":     func(c *vault.Config) { c.MountPath = "nothing-here" },
		"KV version 1": func(c *vault.Config) { c.MountPath = s.Mount(t, 1) },
	} {
		c := liveConfig(s, mount)
		wire := &recorder{inner: newTransport(t)}
		c.Transport = wire
		configure(&c)
		p := open(t, c, provider.OneShot())
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrInvalidConfig, "KV version 2", c.MountPath)
		_, err = p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrInvalidConfig, "KV version 2", c.MountPath)
		if calls := wire.since(); len(calls) != 2 {
			t.Errorf("%s: two operations made the calls %q", what, calls)
		}
		_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion("1-2abc")})
		wants(t, err, nebula.ErrInvalidConfig, "KV version 2", c.MountPath)
		checker, _ := nebula.As[nebula.Checker](p)
		found := false
		for _, f := range checker.Check(t.Context()) {
			found = found || f.Severity == nebula.SeverityError && strings.Contains(f.Message, "KV version 2")
		}
		if !found {
			t.Errorf("%s: doctor finds nothing", what)
		}
	}

	authMount, roleID, _ := s.AppRole(t, map[string]any{})
	c.Auth = vault.Auth{Method: "approle", MountPath: authMount, RoleID: roleID, SecretID: nebula.NewSecret([]byte("wrong-secret-id"))}
	refused, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, connect(t, refused), nebula.ErrUnauthenticated, "role id or secret id")
	for _, wrong := range []string{"no-approle-here", "token"} {
		c.Auth.MountPath = wrong
		lost, err := vault.New(c)
		if err != nil {
			t.Fatal(err)
		}
		err = connect(t, lost)
		wants(t, err, nebula.ErrUnauthenticated, "auth/"+wrong+"/login", "auth.mount_path")
		if strings.Contains(err.Error(), "policy") || strings.Contains(err.Error(), "capability") {
			t.Errorf("a login without a token: %v", err)
		}
	}
	batch := s.Token(t, map[string]any{"policies": []string{s.Policy(t, policy(mount))}, "type": "batch", "ttl": "1h"})
	c = liveConfig(s, mount)
	c.Auth.Token = nebula.NewSecret([]byte(batch))
	p = open(t, c, provider.OneShot())
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Errorf("a batch token: %v", err)
	}
}

// wants checks the kind of an error, and that it says all texts.
func wants(t *testing.T, err error, kind nebula.Kind, texts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%v, want %v", err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}
