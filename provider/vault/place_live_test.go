package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// liveKeyedStore returns a store with a keyring, over a transport that counts calls.
func liveKeyedStore(t *testing.T) (*nebula.Store, *recorder, string, *livetest.VaultServer) {
	t.Helper()
	p, wire, c := liveOpen(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: keyFile}
	store, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
	if err == nil {
		_, err = store.Init(t.Context(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store, wire, c.MountPath + "/%s/" + c.PathPrefix + "/", livetest.Vault(t)
}

func storeList(t *testing.T, store *nebula.Store, o nebula.ListOptions) map[nebula.ID]nebula.Entry {
	t.Helper()
	all := make(map[nebula.ID]nebula.Entry)
	for e, err := range store.List(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.ID] = e
	}
	return all
}

// A list with details reads metadata and no value, even for secrets whose custom
// metadata is not ours. A filter may read the values of those, and no others.
func TestLiveLongListReadsNoValue(t *testing.T) {
	store, wire, path, s := liveKeyedStore(t)
	for _, id := range []nebula.ID{"a", "b", "stripped"} {
		if _, err := store.Put(t.Context(), id, nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"env": "dev"}}); err != nil {
			t.Fatal(err)
		}
	}
	s.API(t, http.MethodPost, fmt.Sprintf(path, "metadata")+"stripped", map[string]any{"custom_metadata": map[string]string{"owner": "x"}})
	s.API(t, http.MethodPost, fmt.Sprintf(path, "data")+"theirs", map[string]any{"data": map[string]string{"password": "x"}})
	values := func() (n int) {
		for _, call := range wire.since() {
			if strings.Contains(call, fmt.Sprintf(path, "data")) {
				n++
			}
		}
		return n
	}
	values()
	all := storeList(t, store, nebula.ListOptions{Details: true})
	if n := values(); n != 0 || len(all) != 4 {
		t.Errorf("%d values were read for a list of %d", n, len(all))
	}
	for id, e := range all {
		if e.Err != nil || e.Version == "" || e.Metadata == nil || time.Since(e.Metadata.CreatedAt) > time.Hour || time.Since(e.Metadata.LastModified) > time.Hour {
			t.Errorf("%s is %+v", id, e)
		}
	}
	if tags := all["a"].Metadata.Tags; tags["env"] != "dev" {
		t.Errorf("the tags are %v", tags)
	}
	filter := nebula.Filter{Tags: map[string]string{"env": "dev"}}
	all = storeList(t, store, nebula.ListOptions{Details: true, Filter: filter})
	if n := values(); n != 2 || len(all) != 3 || all["stripped"].Metadata == nil {
		t.Errorf("%d values were read for a list of %d by tag", n, len(all))
	}
}

// A record is recognised by its place, whatever happened to its custom metadata: it
// is listed and a rotation reseals it. The next write restores its custom metadata.
func TestLiveRecordWithoutItsMark(t *testing.T) {
	store, _, path, s := liveKeyedStore(t)
	ctx := t.Context()
	if _, err := store.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"env": "dev"}}); err != nil {
		t.Fatal(err)
	}
	metadata := fmt.Sprintf(path, "metadata") + "x"
	for what, custom := range map[string]map[string]string{"nothing": {}, "others": {"owner": "team"}} {
		s.API(t, http.MethodPost, metadata, map[string]any{"custom_metadata": custom})
		if all := storeList(t, store, nebula.ListOptions{}); len(all) != 1 {
			t.Errorf("%s: the list has %d", what, len(all))
		}
		if c, err := store.Get(ctx, "x"); err != nil || string(c.Secret.Reveal()) != "v" || c.Metadata.Tags["env"] != "dev" {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := store.Tag(ctx, "x", map[string]string{"healed": "1"}, nil); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		found, _ := s.API(t, http.MethodGet, metadata, nil)["custom_metadata"].(map[string]any)
		if found["env"] != "dev" || found["nebula="] == nil || found["owner"] != nil && found["owner"] != custom["owner"] {
			t.Errorf("%s: the custom metadata is %v", what, found)
		}
	}
}

// Somebody else's secret in the place of a credential is not reported as a damaged
// record: it can be taken over, and there is nothing to mend.
func TestLiveStrangersSecret(t *testing.T) {
	store, _, path, s := liveKeyedStore(t)
	ctx := t.Context()
	_, place, _ := strings.Cut(path, "%s/")
	for what, data := range map[string]map[string]any{
		"other keys":     {"username": "u", "password": "p"},
		"a text":         {"record": "hunter2"},
		"another type":   {"record": 17},
		"another record": {"record": `{"artist":"x"}`},
	} {
		s.API(t, http.MethodPost, fmt.Sprintf(path, "data")+"theirs", map[string]any{"data": data})
		_, err := store.Get(ctx, "theirs")
		wants(t, err, nebula.ErrNotARecord, "not a nebula record", "nebula import vault:"+place+"theirs")
		_, err = store.Put(ctx, "theirs", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
		wants(t, err, nebula.ErrNotARecord, "not a nebula record", "import")
		if strings.Contains(err.Error(), "put the value again") {
			t.Errorf("%s: %v leads in a circle", what, err)
		}
	}
	if _, err := store.Put(ctx, "ours", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, data := range []map[string]any{{"password": "p"}, {"record": "cut"}} {
		s.API(t, http.MethodPost, fmt.Sprintf(path, "data")+"ours", map[string]any{"data": data})
		if _, err := store.Get(ctx, "ours"); nebula.KindOf(err) != nebula.ErrCorrupted || strings.Contains(err.Error(), "import") {
			t.Errorf("a damaged record of ours: %v", err)
		}
	}
	if all := storeList(t, store, nebula.ListOptions{Filter: nebula.Filter{Scope: "s"}}); len(all) != 0 {
		t.Errorf("somebody else's secret has a scope: %v", all)
	}
}

// If the prefix of one store is the beginning of another's, the store sees none of
// the other's credentials, and deletes none.
func TestLivePrefixOfAPrefix(t *testing.T) {
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	var all []nebula.Provider
	for _, prefix := range []string{"", "p", "p/team", "p/team-b", "p-x"} {
		c.PathPrefix = prefix
		p := open(t, c, provider.OneShot())
		for _, id := range []string{"x", "team", "p"} {
			name, e := record(t, id, prefix, nil)
			if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
				t.Fatalf("%q: %v", prefix, err)
			}
		}
		all = append(all, p)
	}
	count := func(ctx context.Context, p nebula.Provider) int {
		ids := listed(t, p, nebula.Filter{})
		if len(ids) > 0 && !slices.Equal(ids, []nebula.ID{"p", "team", "x"}) {
			t.Errorf("the list is %q", ids)
		}
		return len(ids)
	}
	for i, p := range all {
		for _, id := range []string{"x", "team", "p"} {
			name, _ := record(t, id, "", nil)
			if id == "x" {
				remove(t, p, name)
			}
			purge(t, p, name)
		}
		for j, other := range all {
			if n := count(t.Context(), other); n != map[bool]int{true: 0, false: 3}[j <= i] {
				t.Errorf("after all of store %d was purged, store %d has %d", i, j, n)
			}
		}
	}
}
