package vault_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// throughFaults returns a provider whose way to the server is a proxy that can go
// wrong, with HTTP/2.
func throughFaults(t *testing.T, options ...provider.Option) (nebula.Provider, *faultproxy.Proxy, vault.Config) {
	t.Helper()
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	proxy := faultproxy.Start(t, faultproxy.Options{Target: s.Address, TLS: true})
	c.Address, c.CACert = proxy.URL(), filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(c.CACert, proxy.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Retry.BaseDelayMS = 10
	return open(t, c, append(options, provider.OneShot())...), proxy, c
}

// vaultSays is a refusal of the server's form.
func vaultSays(status int, words string) faultproxy.Fault {
	return faultproxy.Answer(status, "").WithBody("application/json", fmt.Sprintf(`{"errors":[%q]}`, words))
}

// The second call of a write, for the tags, may be refused for a moment. The
// write is repeated as a whole, and what is there already is known again: no
// conflict, one version, and the tags are set.
func TestLiveThrottledTags(t *testing.T) {
	for what, fault := range map[string]faultproxy.Fault{
		"429": vaultSays(429, `rate limit quota exceeded`),
		"503": faultproxy.Answer(503, "0").WithBody("text/html", "<html>busy</html>"),
		"412": vaultSays(412, "required index state not present"),
	} {
		p, proxy, c := throughFaults(t)
		historian, _ := nebula.As[nebula.Historian](p)
		var v nebula.Version
		for i, condition := range []func() nebula.Precondition{
			nebula.IfAbsent,
			func() nebula.Precondition { return nebula.IfVersion(v) },
			func() nebula.Precondition { return nebula.Precondition{} },
		} {
			proxy.Clear()
			proxy.Add(faultproxy.Rule{Method: http.MethodPost, Path: "/v1/" + c.MountPath + "/metadata/", Times: 2, Fault: fault})
			tags := map[string]string{"round": fmt.Sprint(i)}
			name, e := record(t, "x", fmt.Sprint("value ", i), tags)
			var err error
			if v, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition()}); err != nil {
				t.Fatalf("%s, %d: %v", what, i, err)
			}
			history, err := historian.History(t.Context(), name)
			if err != nil || len(history) != i+1 || history[0].Version != v {
				t.Errorf("%s, %d: %d versions, the last %v, told %q, %v", what, i, len(history), history, v, err)
			}
			if ids := listed(t, p, nebula.Filter{Tags: tags}); !slices.Equal(ids, []nebula.ID{"x"}) {
				t.Errorf("%s, %d: the list by tag is %q", what, i, ids)
			}
		}
	}
}

// What others put into the custom metadata of a secret stays, whatever becomes
// of the tags, and is no tag.
func TestLiveForeignCustomMetadata(t *testing.T) {
	p, _, c := liveOpen(t)
	s, ctx := livetest.Vault(t), t.Context()
	path := c.MountPath + "/metadata/" + c.PathPrefix + "/x"
	theirs := map[string]string{"owner": "team a", "ticket": "42"}
	custom := func() map[string]string {
		found := make(map[string]string)
		all, _ := s.API(t, http.MethodGet, path, nil)["custom_metadata"].(map[string]any)
		for key, value := range all {
			if !strings.HasPrefix(key, "nebula=") {
				found[key] = fmt.Sprint(value)
			}
		}
		return found
	}
	s.API(t, http.MethodPost, path, map[string]any{"custom_metadata": map[string]string{"owner": "team a"}})
	store := func(tags map[string]string) nebula.Name {
		t.Helper()
		name, e := record(t, "x", "v", tags)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		return name
	}
	store(map[string]string{"env": "dev", "old": "1"})
	all, _ := s.API(t, http.MethodGet, path, nil)["custom_metadata"].(map[string]any)
	all["ticket"] = "42"
	s.API(t, http.MethodPost, path, map[string]any{"custom_metadata": all})
	name := store(map[string]string{"env": "prod"})
	want := map[string]string{"env": "prod"}
	maps.Copy(want, theirs)
	if got := custom(); !maps.Equal(got, want) {
		t.Errorf("the custom metadata is %v, want %v", got, want)
	}
	if ids := listed(t, p, nebula.Filter{Tags: map[string]string{"owner": "team a"}}); len(ids) != 0 {
		t.Errorf("what others added is a tag of %q", ids)
	}
	if ids := listed(t, p, nebula.Filter{Tags: map[string]string{"env": "prod"}}); len(ids) != 1 {
		t.Errorf("the list by tag is %q", ids)
	}
	remove(t, p, name)
	store(nil)
	if got := custom(); !maps.Equal(got, theirs) {
		t.Errorf("after it was deleted and stored without tags: %v, want %v", got, theirs)
	}
	s.API(t, http.MethodPost, path, map[string]any{"custom_metadata": theirs}) // ours are lost
	if ids := listed(t, p, nebula.Filter{CreatedAfter: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}); len(ids) != 1 {
		t.Errorf("without the reserved key the list is %q", ids)
	}
	store(map[string]string{"env": "test"})
	if ids := listed(t, p, nebula.Filter{Tags: map[string]string{"env": "test"}}); len(ids) != 1 || custom()["owner"] != "team a" {
		t.Errorf("the next write did not heal it: %q, %v", ids, custom())
	}
}

// listed returns the ids of a list.
func listed(t *testing.T, p nebula.Provider, f nebula.Filter) (ids []nebula.ID) {
	t.Helper()
	for _, e := range entries(t, p, f) {
		if e.Err != nil {
			t.Errorf("%s: %v", e.ID, e.Err)
		}
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}

func entries(t *testing.T, p nebula.Provider, f nebula.Filter) (all []nebula.Entry) {
	t.Helper()
	pager := p.List(t.Context(), f)
	defer pager.Close()
	for {
		page, err := pager.NextPage(t.Context())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
	}
}
