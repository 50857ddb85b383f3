package vault_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// narrow is the policy of docs/providers/vault.md, for a mount and a folder.
func narrow(mount, prefix string) string {
	return fmt.Sprintf(`
path "%[1]s/data/%[2]s/*" { capabilities = ["create", "read", "update", "patch"] }
path "%[1]s/metadata/%[2]s/*" { capabilities = ["read", "update", "delete"] }
path "%[1]s/metadata/%[2]s/" { capabilities = ["list"] }
path "%[1]s/delete/%[2]s/*" { capabilities = ["update"] }
path "%[1]s/undelete/%[2]s/*" { capabilities = ["update"] }
`, mount, prefix)
}

// This is a whole store, under the policy that the documentation gives to paste: the
// calls of each step, and that doctor finds nothing missing.
func TestLiveStore(t *testing.T) {
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	token := s.Token(t, map[string]any{"policies": []string{s.Policy(t, narrow(c.MountPath, c.PathPrefix))}})
	wire := &recorder{inner: newTransport(t)}
	c.Auth.Token, c.Transport = nebula.NewSecret([]byte(token)), wire
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: keyFile}
	ctx := t.Context()
	reopen := func() *nebula.Store {
		store, err := nebula.Open(ctx, open(t, c, provider.OneShot()), nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		wire.since()
		return store
	}
	store := reopen()
	if _, err := store.Init(ctx, key); err != nil {
		t.Fatal(err)
	}
	store = reopen()
	v, err := store.Put(ctx, "token", nebula.NewSecret([]byte("one")), nebula.PutOptions{Tags: map[string]string{"team": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := reopen().Get(ctx, "token")
	if err != nil || string(got.Secret.Reveal()) != "one" || got.Version != v {
		t.Fatalf("%v, %v", got.Version, err)
	}
	if calls := wire.since(); len(calls) != 2 || count(calls, "/.keyring") != 1 {
		t.Errorf("a get of a new process: %q, want record and keyring", calls)
	}
	if _, err := store.Put(ctx, "token", nebula.NewSecret([]byte("two")), nebula.PutOptions{Previous: &got}); err != nil {
		t.Fatal(err)
	}
	if calls := wire.since(); len(calls) != 1 || !strings.HasPrefix(calls[0], "PATCH ") {
		t.Errorf("a put over what was read: %q, want one call", calls)
	}
	checker, _ := nebula.As[nebula.Checker](open(t, c, provider.OneShot()))
	for _, f := range checker.Check(ctx) {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("doctor: %+v", f)
		}
	}
	if existed, err := store.Delete(ctx, "token", nebula.DeleteOptions{}); err != nil || !existed {
		t.Fatal(err)
	}
	if err := store.Restore(ctx, "token"); err != nil {
		t.Fatal(err)
	}
	var ids []nebula.ID
	for item, err := range store.List(ctx, nebula.ListOptions{Filter: nebula.Filter{Tags: map[string]string{"team": "x"}}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, item.ID)
	}
	if !slices.Equal(ids, []nebula.ID{"token"}) {
		t.Errorf("the list is %v", ids)
	}
}

// Settings of others on a secret stay when its tags change. A version that is to be
// deleted later exists until then.
func TestLiveSettingsStay(t *testing.T) {
	p, _, c := liveOpen(t)
	s, ctx := livetest.Vault(t), t.Context()
	name, e := record(t, "kept", "v", map[string]string{"a": "1"})
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	path := c.MountPath + "/metadata/" + c.PathPrefix + "/kept"
	s.API(t, http.MethodPost, path, map[string]any{"max_versions": 7, "delete_version_after": "1h"})
	_, e = record(t, "kept", "v", map[string]string{"a": "2"})
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	m := s.API(t, http.MethodGet, path, nil)
	if fmt.Sprint(m["max_versions"]) != "7" || m["delete_version_after"] != "1h0m0s" {
		t.Errorf("the settings became %v and %v", m["max_versions"], m["delete_version_after"])
	}
	if custom, _ := m["custom_metadata"].(map[string]any); custom["a"] != "2" {
		t.Errorf("the tags are %v", custom)
	}
	if found, err := p.Exists(ctx, name); !found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	pager := p.List(ctx, nebula.Filter{})
	if entries, err := pager.NextPage(ctx); len(entries) != 1 || err != nil {
		t.Errorf("the list has %d entries, %v", len(entries), err)
	}
}
