package transit_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// policy returns the policy of the documentation, for a key of an engine.
func policy(mount, key string) string {
	return fmt.Sprintf(`
path "%[1]s/decrypt/%[2]s" { capabilities = ["update"] }
path "%[1]s/encrypt/%[2]s" { capabilities = ["update"] }
path "%[1]s/keys/%[2]s" { capabilities = ["read"] }
`, mount, key)
}

// recorder passes requests on and notes them, without the token.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls = append(r.calls, q.Method+" "+strings.TrimPrefix(q.URL.Path, "/v1/"))
	r.mu.Unlock()
	return plain.RoundTrip(q)
}

// plain keeps no connection: a test must leave none behind.
var plain = &http.Transport{DisableKeepAlives: true}

// since returns the calls since the last look.
func (r *recorder) since() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// vault is an engine for one test.
type vault struct {
	*livetest.VaultServer
	mount string
	wire  *recorder
}

func newVault(t *testing.T, keys ...string) *vault {
	t.Helper()
	s := livetest.Vault(t)
	return &vault{VaultServer: s, mount: s.Transit(t, keys...), wire: &recorder{}}
}

// config returns a configuration with a token that has a policy; "" is the root token.
func (v *vault) config(t *testing.T, policy, key string, also ...string) transit.Config {
	t.Helper()
	c := transit.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath, c.Key, c.Also, c.Transport = v.Address, v.CAFile, v.mount, key, also, v.wire
	token := v.RootToken
	if policy != "" {
		token = v.Token(t, map[string]any{"policies": []string{v.Policy(t, policy)}})
	}
	c.Auth.Token = nebula.NewSecret([]byte(token))
	return c
}

func newKey(t *testing.T, c transit.Config) nebula.Renewer {
	t.Helper()
	key, err := transit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSlot(t *testing.T, key nebula.Key, id string) (nebula.Slot, []byte) {
	t.Helper()
	slot, secret, err := key.NewSlot(t.Context(), id, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return slot, secret
}

// wants checks the kind of an error, and that it has each text.
func wants(t *testing.T, err error, kind nebula.Kind, texts ...string) {
	t.Helper()
	if nebula.KindOf(err) != kind {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), kind)
	}
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}

func wantCalls(t *testing.T, v *vault, want ...string) {
	t.Helper()
	for i := range want {
		method, path, _ := strings.Cut(want[i], " ")
		want[i] = method + " " + v.mount + "/" + path
	}
	if got := v.wire.since(); !slices.Equal(got, want) {
		t.Errorf("the calls are %q, want %q", got, want)
	}
}

// place is a backend with a store, and the id of its data key.
type place struct {
	backend *memory.Backend
	id      nebula.KeyID
}

// newPlace makes a store that the key opens, with a credential.
func newPlace(t *testing.T, key nebula.Key) *place {
	t.Helper()
	p := &place{backend: memory.NewBackend()}
	s := p.open(t, key)
	id, err := s.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.id = id
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the store like another process that knows the id of its data key.
func (p *place) open(t *testing.T, keys ...nebula.Key) *nebula.Store {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = p.backend
	backend, err := memory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	options := nebula.Options{Keys: keys}
	if p.id != (nebula.KeyID{}) {
		options.TrustedKey = &p.id
	}
	s, err := nebula.Open(t.Context(), backend, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func slotsOf(t *testing.T, s *nebula.Store) []nebula.Slot {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil || !info.Authentic {
		t.Fatalf("keys: %+v, %v", info, err)
	}
	return info.Slots
}

func get(t *testing.T, s *nebula.Store) error {
	t.Helper()
	c, err := s.Get(t.Context(), "x")
	if err == nil && string(c.Secret.Reveal()) != "v" {
		t.Error("got another value")
	}
	return err
}
