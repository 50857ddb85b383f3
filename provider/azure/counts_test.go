package azure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/sealed"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// recorder is a transport that records each request on its way to the server.
type recorder struct {
	mu    sync.Mutex
	calls []string
	inner http.RoundTripper
	after func(*http.Request) error // when the answer has come
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls = append(r.calls, request.Method+" "+request.URL.Path)
	r.mu.Unlock()
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
func (r *rig) open(t testing.TB, c azure.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p := r.made(t, c, options...)
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = life.Close() })
	return p
}

// removed deletes without a condition.
func removed(ctx context.Context, p nebula.Provider, name nebula.Name) error {
	_, err := p.Delete(ctx, name, nebula.Precondition{})
	return err
}

// purged purges, and ignores whether anything was there.
func purged(ctx context.Context, p nebula.Purger, name nebula.Name) error {
	_, err := p.Purge(ctx, name)
	return err
}

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

func (r *rig) recorded() (azure.Config, *recorder) {
	wire := &recorder{inner: r.Server.Transport()}
	c := r.principal()
	c.Transport = wire
	return c, wire
}

// counted checks the calls since it was last called.
func counted(t *testing.T, wire *recorder) func(what string, err error, want ...string) {
	return func(what string, err error, want ...string) {
		t.Helper()
		got := wire.since()
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, calls\n%q, want\n%q", what, err, got, want)
		}
	}
}

// These are the calls of each operation on the wire: the table of
// docs/providers/azure.md.
func TestLiveCalls(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	p := r.open(t, c)
	ctx := t.Context()
	costs := counted(t, wire)
	login := "/" + azureserver.TenantID + "/"
	costs("connect", nil, "GET "+login+"v2.0/.well-known/openid-configuration", "POST "+login+"oauth2/v2.0/token")
	const a = "/secrets/nebula-credentials-a"
	const deleted = "/deletedsecrets/nebula-credentials-a"
	store := func(value string, options nebula.StoreOptions) (nebula.Version, error) {
		name, e := record(t, "a", value, map[string]string{"team": value})
		return p.Store(ctx, name, e, options)
	}
	name, previous := record(t, "a", "", nil)
	_, err := p.Retrieve(ctx, name)
	wants(t, err, nebula.ErrNotFound)
	costs("retrieve none", nil, "GET "+a+"/")
	_, err = store("1", nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	costs("store new, of what was found to be absent", err, "PUT "+a)
	v, err := store("2", nebula.StoreOptions{})
	costs("store again", err, "PUT "+a)
	_, err = p.Retrieve(ctx, name)
	costs("retrieve", err, "GET "+a+"/")
	_, err = store("3", nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: previous})
	costs("store over what was read", err, "PUT "+a)
	_, err = store("4", nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: previous})
	wants(t, err, nebula.ErrConflict)
	costs("a conflict", nil, "GET "+a+"/")
	_, err = p.Retrieve(ctx, name)
	costs("retrieve again", err, "GET "+a+"/")
	_, err = store("4", nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: previous})
	wants(t, err, nebula.ErrConflict)
	costs("a conflict with what was read", nil)
	_, err = store("4", nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrAlreadyExists)
	costs("store if absent, over one", nil, "GET "+a+"/")
	_, err = p.Exists(ctx, name)
	costs("exists", err, "GET "+a+"/")
	costs("list", pages(ctx, p, nebula.Filter{}), "GET /secrets")
	costs("list with a filter", pages(ctx, p, nebula.Filter{Tags: map[string]string{"team": "3"}}), "GET /secrets")
	historian, _ := nebula.As[nebula.Historian](p)
	_, err = historian.History(ctx, name)
	costs("history", err, "GET "+a+"/", "GET "+a+"/versions")
	retriever, _ := nebula.As[nebula.VersionRetriever](p)
	_, err = retriever.RetrieveVersion(ctx, name, v)
	costs("retrieve a version", err, "GET "+a+"/"+string(v))
	costs("delete", removed(ctx, p, name), "DELETE "+a)
	r.clock.ahead.Add(int64(time.Minute))
	restorer, _ := nebula.As[nebula.Restorer](p)
	costs("restore", restorer.Restore(ctx, name), "GET "+deleted, "POST "+deleted+"/recover", "GET "+a+"/", "GET "+a+"/", "GET "+a+"/", "GET "+a+"/")
	r.clock.ahead.Add(int64(time.Minute))
	costs("delete unseen", removed(ctx, p, name), "GET "+a+"/", "DELETE "+a)
	r.clock.ahead.Add(int64(time.Minute))
	v, err = store("5", nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wire.since()
	_, err = p.Delete(ctx, name, nebula.IfVersion(v))
	costs("delete on condition", err, "GET "+a+"/", "DELETE "+a)
	r.clock.ahead.Add(int64(time.Minute))
	purger, _ := nebula.As[nebula.Purger](p)
	costs("purge", purged(ctx, purger, name), "GET "+a+"/", "GET "+deleted, "DELETE "+deleted)
	stranger := r.open(t, c)
	wire.since()
	r.clock.ahead.Add(int64(time.Minute))
	_, e := record(t, "a", "5", nil)
	_, err = stranger.Store(ctx, name, e, nebula.StoreOptions{})
	costs("store, knowing nothing", err, "GET "+a+"/", "PUT "+a)
	costs("delete what was stored a moment ago", removed(ctx, stranger, name), "DELETE "+a)
	r.clock.ahead.Add(int64(time.Minute))
	if _, err = stranger.Store(ctx, name, e, nebula.StoreOptions{}); err != nil { // over the deleted one
		t.Fatal(err)
	}
	wire.since()
	_, err = stranger.Store(ctx, name, e, nebula.StoreOptions{})
	costs("store after a deleted one was written over", err, "PUT "+a)
	costs("delete after that", removed(ctx, stranger, name), "DELETE "+a)
	r.clock.ahead.Add(int64(time.Minute))
	if err := r.all(t, r.principal()).Restore(ctx, name); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(time.Minute))
	_, err = stranger.Retrieve(ctx, name)
	costs("retrieve what others restored", err, "GET "+a+"/")
	costs("delete what was read", removed(ctx, stranger, name), "DELETE "+a)
}

// store returns a new store.
func (r *rig) store(t *testing.T) *nebula.Store {
	t.Helper()
	return r.storeOn(t, r.made(t, r.principal()))
}

func (r *rig) storeOn(t *testing.T, p nebula.Provider) *nebula.Store {
	t.Helper()
	key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return s
}

// A put reads once, to keep the metadata, and writes once.
func TestLiveCallsOfStore(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	ctx := t.Context()
	s := r.storeOn(t, r.made(t, c))
	wire.since()
	costs := counted(t, wire)
	const a = "/secrets/nebula-credentials-a"
	_, err := s.Put(ctx, "a", nebula.NewSecret([]byte("one")), nebula.PutOptions{})
	costs("put new", err, "GET "+a+"/", "PUT "+a)
	_, err = s.Put(ctx, "a", nebula.NewSecret([]byte("two")), nebula.PutOptions{})
	costs("put again", err, "GET "+a+"/", "PUT "+a)
	_, err = s.Get(ctx, "a")
	costs("get", err, "GET "+a+"/")
}

// A list with all details fetches no value: the metadata is in the tags, and versions
// are left out.
func TestLiveListDetails(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	ctx := t.Context()
	s := r.storeOn(t, r.made(t, c))
	for i := range 30 {
		if _, err := s.Put(ctx, nebula.ID(fmt.Sprintf("n%02d", i)), nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"n": fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	wire.since()
	listed := 0
	for e, err := range s.List(ctx, nebula.ListOptions{Details: true}) {
		if err != nil || e.Err != nil || e.Metadata == nil || e.Metadata.CreatedAt.IsZero() || len(e.Metadata.Tags) != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		listed++
	}
	if calls := wire.since(); listed != 30 || len(calls) != 2 {
		t.Errorf("%d are listed with %d calls: %q", listed, len(calls), calls)
	}
}

// A list of n credentials takes n/25 calls, and pages may be empty.
func TestLiveListCalls(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	p := r.open(t, c)
	ctx := t.Context()
	for i := range 60 {
		name, e := record(t, fmt.Sprintf("n%02d", i), "v", nil)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r.Add(azureserver.Seed{Name: "other", Value: "x"})
	r.Add(azureserver.Seed{Name: "nebula-credentials-certificate", Value: "x", Managed: true, Tags: map[string]string{"nebula-": `{"id":"certificate"}`}})
	r.Add(azureserver.Seed{Name: "nebula-credentials-untagged", Value: "x"})
	r.Add(azureserver.Seed{Name: "nebula-credentials-misplaced", Value: "x", Tags: map[string]string{"nebula-": `{"id":"n01"}`}})
	list := func() (ids []nebula.ID, calls int) {
		t.Helper()
		wire.since()
		pager := p.List(ctx, nebula.Filter{})
		defer pager.Close()
		for {
			entries, err := pager.NextPage(ctx)
			if err == io.EOF {
				return ids, len(wire.since())
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				ids = append(ids, e.ID)
			}
		}
	}
	// Two secrets have names of records and no tags that say so: they are read.
	if ids, calls := list(); len(ids) != 60 || calls != 3+2 {
		t.Errorf("%d are listed in %d calls, want 60 in 5", len(ids), calls)
	}
	r.SetPages(0, 0, 1, 0)
	if ids, calls := list(); len(ids) != 60 || calls < 6 {
		t.Errorf("%d are listed in %d calls, want 60 with empty pages among them", len(ids), calls)
	}
}

// If an answer is lost on the way, it is unclear whether the write was done. It is
// repeated, and ends as one version and as a success.
func TestLiveLostAnswers(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	p := r.open(t, c)
	ctx := t.Context()
	historian, _ := nebula.As[nebula.Historian](p)
	name, first := record(t, "lost", "first", nil)
	v, err := p.Store(ctx, name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, condition := range []func() nebula.Precondition{
		func() nebula.Precondition { return nebula.Precondition{} },
		func() nebula.Precondition { return nebula.IfVersion(v) },
		func() nebula.Precondition { return nebula.IfAbsent() },
	} {
		if condition() == nebula.IfAbsent() {
			purger, _ := nebula.As[nebula.Purger](p)
			if err := purged(ctx, purger, name); err != nil {
				t.Fatal(err)
			}
			r.clock.ahead.Add(int64(time.Minute))
		}
		lost := 0
		wire.after = func(request *http.Request) error {
			if request.Method == http.MethodPut && lost < 2 {
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
		if err != nil || len(after) != len(before)+1 || after[0].Version != v || lost != 1 {
			t.Errorf("%d: %d versions became %d, the last %v, reported %q; %d lost; %v", i, len(before), len(after), after[0], v, lost, err)
		}
		got, err := p.Retrieve(ctx, name)
		if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// If the answer to a write was lost and the secret could not be read back at once,
// the write does not conflict with itself.
func TestLiveLostAnswerAndRead(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	p := r.open(t, c)
	ctx := t.Context()
	name, first := record(t, "lost", "first", nil)
	v, err := p.Store(ctx, name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lost, failed := false, false
	wire.after = func(request *http.Request) error {
		cut := request.Method == http.MethodPut && !lost || request.Method == http.MethodGet && lost && !failed
		lost, failed = lost || request.Method == http.MethodPut, failed || lost && request.Method == http.MethodGet
		if cut {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	_, second := record(t, "lost", "second", nil)
	now, err := p.Store(ctx, name, second, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wire.after = nil
	if err != nil || now == v || !lost || !failed {
		t.Fatalf("version %q, lost %v, not read %v: %v", now, lost, failed, err)
	}
	historian, _ := nebula.As[nebula.Historian](p)
	if history, err := historian.History(ctx, name); err != nil || len(history) != 2 || history[0].Version != now {
		t.Errorf("%v, %v", history, err)
	}
}

// Answers to deletions, recoveries and purges may also be lost.
func TestLiveLostAnswersOfStates(t *testing.T) {
	r := newRig(t)
	c, wire := r.recorded()
	p := r.open(t, c)
	ctx := t.Context()
	name, e := record(t, "lost", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	restorer, _ := nebula.As[nebula.Restorer](p)
	purger, _ := nebula.As[nebula.Purger](p)
	for _, step := range []struct {
		what, method string
		call         func() error
		exists       bool
	}{
		{"delete", http.MethodDelete, func() error { return removed(ctx, p, name) }, false},
		{"restore", http.MethodPost, func() error { return restorer.Restore(ctx, name) }, true},
		{"purge", http.MethodDelete, func() error { return purged(ctx, purger, name) }, false},
	} {
		lost := 0
		wire.after = func(request *http.Request) error {
			if request.Method == step.method && lost == 0 {
				lost++
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err := step.call(); err != nil || lost != 1 {
			t.Errorf("%s: %v, %d lost", step.what, err, lost)
		}
		wire.after = nil
		if found, err := p.Exists(ctx, name); err != nil || found != step.exists {
			t.Errorf("after %s it exists: %v, %v", step.what, found, err)
		}
	}
}

// If a page cannot be fetched, the next attempt fetches it: no list ends early.
func TestLiveListFailing(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	p := r.open(t, c)
	ctx := t.Context()
	for i := range 60 {
		name, e := record(t, fmt.Sprintf("n%02d", i), "v", nil)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for page := range 3 {
		remove := r.Inject(azureserver.Fault{Operation: azureserver.ListSecrets, Status: 503, After: page, Times: 1})
		if listed := entries(ctx, t, p, nebula.Filter{}); len(listed) != 60 {
			t.Errorf("with page %d failing once, %d of 60 are listed", page, len(listed))
		}
		remove()
	}
	c.Retry.MaxRetries = 0
	pager := r.open(t, c).List(ctx, nebula.Filter{})
	defer pager.Close()
	r.Inject(azureserver.Fault{Operation: azureserver.ListSecrets, Status: 503, After: 1, Times: 1})
	listed, failed := 0, 0
	for {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			failed++
		}
		listed += len(page)
	}
	if listed != 60 || failed != 1 {
		t.Errorf("%d of 60 are listed, with %d failures", listed, failed)
	}
}

// Sixteen processes write one credential once each, on condition of what they read,
// and again after a conflict. No acknowledged write is lost, although Key Vault does
// not compare, and each writes one version.
func TestLiveSixteenWriters(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	const writers = 16
	name, first := record(t, "contested", "first", nil)
	if _, err := r.open(t, r.principal()).Store(ctx, name, first, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	providers := make([]nebula.Provider, writers)
	for i := range providers {
		providers[i] = r.open(t, r.principal())
	}
	before := len(r.Requests())
	acknowledged := make(chan nebula.Version, writers)
	var group sync.WaitGroup
	for i, p := range providers {
		group.Go(func() {
			_, e := record(t, "contested", fmt.Sprint("value ", i), nil)
			for {
				current, err := p.Retrieve(ctx, name)
				if err != nil {
					t.Error(err)
					return
				}
				v, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(current.Version), Previous: current.Envelope})
				if err == nil {
					acknowledged <- v
					return
				}
				if !errors.Is(err, nebula.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	close(acknowledged)
	calls := len(r.Requests()) - before
	history, err := providers[0].(full).History(ctx, name)
	if err != nil || len(history) != writers+1 {
		t.Errorf("%d versions, %v", len(history), err)
	}
	for v := range acknowledged {
		if !slices.ContainsFunc(history, func(h nebula.VersionInfo) bool { return h.Version == v }) {
			t.Errorf("version %s was acknowledged and is lost", v)
		}
	}
	if calls > 4*writers {
		t.Errorf("%d calls", calls)
	}
	t.Logf("%d writers: %d calls, %d versions", writers, calls, len(history)-1)
}
