package vault_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/internal/testing/sealed"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// recorder is a transport that records each request on its way to the server.
type recorder struct {
	mu    sync.Mutex
	calls []string
	inner http.RoundTripper
	fault func(*http.Request) error // before or instead of sending
	after func(*http.Request) error // when the answer has come
}

// newTransport returns a transport whose connections end with the test.
func newTransport(t *testing.T) *http.Transport {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls = append(r.calls, request.Method+" "+request.URL.Path)
	r.mu.Unlock()
	if r.fault != nil {
		if err := r.fault(request); err != nil {
			return nil, err
		}
	}
	response, err := r.inner.RoundTrip(request)
	if err == nil && r.after != nil {
		if lost := r.after(request); lost != nil {
			response.Body.Close()
			return nil, lost
		}
	}
	return response, err
}

// since returns the calls since it was last called.
func (r *recorder) since() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func record(t testing.TB, id, value string, tags map[string]string) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	return sealed.Record(t, id, value, tags)
}

// open returns a connected provider.
func open(t testing.TB, c vault.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := vault.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// connect connects a provider until the end of the test.
func connect(t testing.TB, p nebula.Provider) error {
	t.Helper()
	life, _ := nebula.As[nebula.Connector](p)
	t.Cleanup(func() { _ = life.Close() })
	return life.Connect(t.Context())
}

func describe(p nebula.Provider) nebula.Description {
	d, _ := nebula.As[nebula.Describer](p)
	return d.Describe()
}

func remove(t testing.TB, p nebula.Provider, name nebula.Name) {
	t.Helper()
	if existed, err := p.Delete(t.Context(), name, nebula.Precondition{}); err != nil || !existed {
		t.Fatalf("delete %s: %v, %v", name, existed, err)
	}
}

func purge(t testing.TB, p nebula.Provider, name nebula.Name) {
	t.Helper()
	purger, _ := nebula.As[nebula.Purger](p)
	if existed, err := purger.Purge(t.Context(), name); err != nil || !existed {
		t.Fatalf("purge %s: %v, %v", name, existed, err)
	}
}

func liveOpen(t *testing.T) (nebula.Provider, *recorder, vault.Config) {
	t.Helper()
	s := livetest.Vault(t)
	wire := &recorder{inner: newTransport(t)}
	c := liveConfig(s, s.Mount(t, 2))
	c.Transport = wire
	return open(t, c, provider.OneShot()), wire, c
}

// These are the calls of each operation on the wire: the table of
// docs/providers/vault.md.
func TestLiveCalls(t *testing.T) {
	p, wire, c := liveOpen(t)
	ctx := t.Context()
	data, metadata := "/v1/"+c.MountPath+"/data/"+c.PathPrefix+"/", "/v1/"+c.MountPath+"/metadata/"+c.PathPrefix+"/"
	costs := func(what string, err error, want ...string) {
		t.Helper()
		got := wire.since()
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, calls\n%q, want\n%q", what, err, got, want)
		}
	}
	costs("connect", nil)
	store := func(value string, tags map[string]string, condition nebula.Precondition) (nebula.Version, error) {
		name, e := record(t, "a", value, tags)
		return p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
	}
	tags := map[string]string{"team": "x", "empty": ""}
	name, _ := record(t, "a", "", nil)
	v, err := store("1", tags, nebula.IfAbsent())
	costs("store new", err, "POST "+data+"a", "POST "+metadata+"a")
	second, err := store("2", tags, nebula.Precondition{})
	costs("store again", err, "POST "+data+"a")
	_, err = store("3", tags, nebula.IfVersion(v))
	if nebula.KindOf(err) != nebula.ErrConflict {
		t.Errorf("an old version: %v", err)
	}
	costs("a conflict", nil, "GET "+metadata+"a")
	third, err := store("3", tags, nebula.IfVersion(second))
	costs("store on condition", err, "PATCH "+data+"a")
	_, err = store("4", map[string]string{"team": "y"}, nebula.IfVersion(third))
	costs("changed tags", err, "PATCH "+data+"a", "POST "+metadata+"a")
	_, err = p.Retrieve(ctx, name)
	costs("retrieve", err, "GET "+data+"a")
	_, err = p.Exists(ctx, name)
	costs("exists", err, "GET "+metadata+"a")
	err = pages(ctx, p, nebula.Filter{})
	costs("the first list", err, "GET "+metadata, "GET /v1/sys/seal-status")
	costs("list", pages(ctx, p, nebula.Filter{}), "GET "+metadata)
	costs("list with a filter", pages(ctx, p, nebula.Filter{Tags: map[string]string{"team": "y"}}), "GET "+metadata, "GET "+metadata+"a")
	deletion := "POST /v1/" + c.MountPath + "/delete/" + c.PathPrefix + "/a"
	_, err = p.Delete(ctx, name, nebula.Precondition{})
	costs("delete", err, "GET "+metadata+"a", deletion)
	_, err = p.Delete(ctx, name, nebula.Precondition{})
	costs("delete what is deleted", err, "GET "+metadata+"a")
	restorer, _ := nebula.As[nebula.Restorer](p)
	costs("restore", restorer.Restore(ctx, name), "GET "+metadata+"a", "GET "+metadata+"a", "POST /v1/"+c.MountPath+"/undelete/"+c.PathPrefix+"/a")
	got, err := p.Retrieve(ctx, name)
	costs("retrieve again", err, "GET "+data+"a")
	_, err = p.Delete(ctx, name, nebula.IfVersion(got.Version))
	costs("delete on condition", err, "GET "+metadata+"a", deletion, "GET "+metadata+"a")
	purger, _ := nebula.As[nebula.Purger](p)
	_, err = purger.Purge(ctx, name)
	costs("purge", err, "GET "+metadata+"a", "DELETE "+metadata+"a")
	_, err = purger.Purge(ctx, name)
	costs("purge nothing", err, "GET "+metadata+"a")
}

// After a purge Vault counts from 1 again. A version from before the purge is still
// refused, by the process that purged and by another one, with and without patching.
func TestLivePurgedVersion(t *testing.T) {
	s := livetest.Vault(t)
	for what, capabilities := range map[string]string{"patching": `"patch", `, "not patching": ""} {
		mount := s.Mount(t, 2)
		token := s.Token(t, map[string]any{"policies": []string{
			s.Policy(t, strings.ReplaceAll(policy(mount), `"patch", `, capabilities))}})
		c := liveConfig(s, mount)
		c.Auth.Token = nebula.NewSecret([]byte(token))
		one, other := open(t, c, provider.OneShot()), open(t, c, provider.OneShot())
		ctx := t.Context()
		name, e := record(t, "again", "first", nil)
		old, err := one.Store(ctx, name, e, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		purge(t, one, name)
		_, second := record(t, "again", "second", nil)
		v, err := one.Store(ctx, name, second, nebula.StoreOptions{})
		if err != nil || v == old {
			t.Fatalf("%s: version %q after %q, %v", what, v, old, err)
		}
		for _, p := range []nebula.Provider{one, other} {
			_, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(old)})
			if nebula.KindOf(err) != nebula.ErrConflict {
				t.Errorf("%s: store over the old version: %v", what, err)
			}
			retriever, _ := nebula.As[nebula.VersionRetriever](p)
			if _, err := retriever.RetrieveVersion(ctx, name, old); nebula.KindOf(err) != nebula.ErrNotFound {
				t.Errorf("%s: the old version: %v", what, err)
			}
		}
		if got, err := other.Retrieve(ctx, name); err != nil || got.Version != v {
			t.Errorf("%s: %q, %v, want %q", what, got.Version, err, v)
		}
		if _, err := other.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)}); err != nil {
			t.Errorf("%s: store over the version: %v", what, err)
		}
	}
}

func pages(ctx context.Context, p nebula.Provider, f nebula.Filter) error {
	pager := p.List(ctx, f)
	defer pager.Close()
	for {
		if _, err := pager.NextPage(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// If an answer is lost on the way, it is unclear whether the write was done. It is
// repeated, and ends as one version and as a success.
func TestLiveLostAnswers(t *testing.T) {
	p, wire, _ := liveOpen(t)
	ctx := t.Context()
	historian, _ := nebula.As[nebula.Historian](p)
	name, first := record(t, "lost", "first", nil)
	v, err := p.Store(ctx, name, first, nebula.StoreOptions{}) // so that the server has answered once
	if err != nil {
		t.Fatal(err)
	}
	for i, condition := range []func() nebula.Precondition{
		func() nebula.Precondition { return nebula.Precondition{} },
		func() nebula.Precondition { return nebula.IfVersion(v) },
		func() nebula.Precondition { return nebula.IfAbsent() },
	} {
		if condition() == nebula.IfAbsent() {
			purge(t, p, name)
		}
		lost := 0
		wire.after = func(r *http.Request) error {
			if r.Method != http.MethodGet && lost < 2 {
				lost++
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		_, e := record(t, "lost", fmt.Sprint("value ", i), map[string]string{"i": fmt.Sprint(i)})
		before, _ := historian.History(ctx, name)
		v, err = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition()})
		wire.after = nil
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		after, err := historian.History(ctx, name)
		if err != nil || len(after) != len(before)+1 || after[0].Version != v || lost != 2 {
			t.Errorf("%d: %d versions became %d, the last %v, reported %q; %d lost; %v", i, len(before), len(after), after[0], v, lost, err)
		}
		got, err := p.Retrieve(ctx, name)
		if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// A list of hundreds, some of them deleted, is one call.
func TestLiveListMany(t *testing.T) {
	p, wire, _ := liveOpen(t)
	ctx := t.Context()
	for i := range 60 {
		name, e := record(t, fmt.Sprintf("n%d", i), "v", nil)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			remove(t, p, name)
		}
	}
	_ = pages(ctx, p, nebula.Filter{})
	wire.since()
	pager := p.List(ctx, nebula.Filter{})
	entries, err := pager.NextPage(ctx)
	if err != nil || len(entries) != 30 || len(wire.since()) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}
