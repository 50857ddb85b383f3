package vault_test

import (
	"context"
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

// throughFaults returns a provider that reaches the server through a proxy with
// faults, over HTTP/2.
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

// vaultSays is a refusal in the form of Vault's answers.
func vaultSays(status int, words string) faultproxy.Fault {
	return faultproxy.Answer(status, "").WithBody("application/json", fmt.Sprintf(`{"errors":[%q]}`, words))
}

// The second call of a write, for the tags, may be refused for a moment. Then the
// whole write is repeated, and recognises what is already there: there is no
// conflict, there is one version, and the tags are set.
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
				t.Errorf("%s, %d: %d versions, the last %v, reported %q, %v", what, i, len(history), history, v, err)
			}
			if ids := listed(t, p, nebula.Filter{Tags: tags}); !slices.Equal(ids, []nebula.ID{"x"}) {
				t.Errorf("%s, %d: the list by tag is %q", what, i, ids)
			}
		}
	}
}

// Custom metadata that others put on a secret stays, whatever happens to the tags,
// and is not a tag.
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
		t.Errorf("metadata of others is a tag of %q", ids)
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
		t.Errorf("the next write did not mend it: %q, %v", ids, custom())
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

// A connection that goes dead without an error carries no retry: an unanswered ping
// ends it, and the next attempt takes another connection, over HTTP/2 too.
func TestLiveDeadConnection(t *testing.T) {
	t.Parallel() // it mostly waits
	metrics := new(provider.StorageMetrics)
	p, proxy, c := throughFaults(t, provider.WithMetrics(metrics))
	ctx := t.Context()
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(proxy.Events(), func(e faultproxy.Event) bool { return e.Proto == "HTTP/2.0" }) {
		t.Error("the test does not speak HTTP/2")
	}
	if n := proxy.Drop(); n == 0 {
		t.Fatal("no connection was open")
	}
	failures := make(chan error)
	for range 4 {
		go func() { _, err := p.Retrieve(ctx, name); failures <- err }()
	}
	for range 4 {
		if err := <-failures; err != nil {
			t.Errorf("after the connection went dead: %v", err)
		}
	}
	if n := metrics.RetryCount(); n > 4 {
		t.Errorf("%d retries of 4 calls: they took the dead connection again", n)
	}

	// The answer to a write is lost the same way.
	proxy.Add(faultproxy.Rule{Method: http.MethodPost, Path: "/v1/" + c.MountPath + "/data/", Times: 1, Fault: faultproxy.SilenceAfter()})
	_, e = record(t, "x", "another", nil)
	v, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	historian, _ := nebula.As[nebula.Historian](p)
	history, err2 := historian.History(ctx, name)
	if err != nil || err2 != nil || len(history) != 2 || history[0].Version != v {
		t.Errorf("%v, %v, %d versions", err, err2, len(history))
	}
	proxy.Wants(t, faultproxy.KindSilenceAfter, 1)
}

// A change that reaches the server after its caller gave up does not undo later
// acknowledged changes: a write with a condition fails, and a deletion names its
// version.
func TestLiveLateChanges(t *testing.T) {
	t.Parallel() // it mostly waits
	for what, change := range map[string]func(context.Context, nebula.Provider, nebula.Name, nebula.Version) error{
		"delete": func(ctx context.Context, p nebula.Provider, name nebula.Name, _ nebula.Version) error {
			_, err := p.Delete(ctx, name, nebula.Precondition{})
			return err
		},
		"delete on condition": func(ctx context.Context, p nebula.Provider, name nebula.Name, v nebula.Version) error {
			_, err := p.Delete(ctx, name, nebula.IfVersion(v))
			return err
		},
		"store on condition": func(ctx context.Context, p nebula.Provider, name nebula.Name, v nebula.Version) error {
			_, e := record(t, "x", "late", nil)
			_, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
			return err
		},
	} {
		p, proxy, _ := throughFaults(t)
		name, e := record(t, "x", "first", nil)
		v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		proxy.Add(faultproxy.Rule{Match: func(r *http.Request) bool { return r.Method != http.MethodGet }, Times: 1, Fault: faultproxy.Late(0)})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := change(ctx, p, name, v); nebula.KindOf(err) != nebula.ErrTimeout {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
		_, e = record(t, "x", "second", nil)
		newer, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
		if err != nil {
			t.Fatalf("%s: the write after it: %v", what, err)
		}
		if n := proxy.Release(); n != 1 {
			t.Fatalf("%s: %d requests arrived late", what, n)
		}
		if got, err := p.Retrieve(t.Context(), name); err != nil || got.Version != newer {
			t.Errorf("%s: an acknowledged write is gone: %q, %v, want %q", what, got.Version, err, newer)
		}
	}
}
