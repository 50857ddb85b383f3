package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// calls counts what reaches the provider, and a test can step in before a call.
type calls struct {
	mu     sync.Mutex
	made   []string
	before func(provider.Call)
}

func (c *calls) intercept(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	c.mu.Lock()
	c.made = append(c.made, strings.TrimSpace(call.Op+" "+call.Name.String()))
	before := c.before
	c.mu.Unlock()
	if before != nil {
		before(call)
	}
	return next(ctx)
}

// take returns the calls since the last take, sorted.
func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	made := c.made
	c.made = nil
	slices.Sort(made)
	return made
}

func (c *calls) step(f func(provider.Call)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = f
}

// fixture is a store on the memory provider, initialised with a key file.
type fixture struct {
	*nebula.Store
	provider nebula.Provider // counted
	memory   nebula.Provider // not counted, over the same backend
	backend  *memory.Backend
	calls    *calls
	clock    *clock
	key      *nebula.KeyFile
}

// connect returns another provider over the fixture's backend, as another process would
// have.
func (f *fixture) connect(t *testing.T, options ...provider.Option) nebula.Provider {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = f.backend
	p, err := memory.New(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.(nebula.Connector).Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := newEmptyFixture(t)
	if _, err := f.Init(t.Context(), f.key); err != nil {
		t.Fatal(err)
	}
	f.calls.take()
	return f
}

func newEmptyFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{backend: memory.NewBackend(), calls: &calls{}, clock: newClock(), key: newKeyFile(t)}
	f.memory = f.connect(t)
	f.provider = f.connect(t, provider.WithInterceptors(f.calls.intercept))
	f.Store = f.open(t, nebula.Options{})
	t.Cleanup(func() { f.Close() })
	return f
}

// open opens another store on the same provider, as another process would.
func (f *fixture) open(t *testing.T, options nebula.Options) *nebula.Store {
	t.Helper()
	if options.Keys == nil {
		options.Keys = []nebula.Key{f.key}
	}
	options.Now = f.clock.now
	s, err := nebula.Open(t.Context(), f.provider, options)
	if err != nil {
		t.Fatal(err)
	}
	f.calls.take()
	return s
}

func put(t *testing.T, s *nebula.Store, id nebula.ID, value string, options nebula.PutOptions) nebula.Version {
	t.Helper()
	v, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), options)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func get(t *testing.T, s *nebula.Store, id nebula.ID) nebula.Credential {
	t.Helper()
	c, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// failure drops the other result of a call, and returns its error.
func failure(_ bool, err error) error { return err }

func wantKind(t *testing.T, err error, want nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), want)
	}
}

func TestPutAndGet(t *testing.T) {
	f := newFixture(t)
	v := put(t, f.Store, "github_token", "value", nebula.PutOptions{Tags: map[string]string{"env": "prod"}})
	c := get(t, f.Store, "github_token")
	if string(c.Secret.Reveal()) != "value" || c.Version != v || c.ID != "github_token" {
		t.Errorf("got %q of version %s, want version %s", c.Secret.Reveal(), c.Version, v)
	}
	if m := c.Metadata; !m.CreatedAt.Equal(f.clock.now()) || !m.LastModified.Equal(f.clock.now()) || m.Tags["env"] != "prod" ||
		m.CreatedBy != "" || m.Scope != "" || !m.LastAccessed.IsZero() {
		t.Errorf("the metadata is %+v", m)
	}
	_, err := f.Get(t.Context(), "other")
	wantKind(t, err, nebula.ErrNotFound)
	var e *nebula.Error
	if !errors.As(err, &e) || e.Op != "retrieve" || e.Provider != "memory" || e.ID != "other" {
		t.Errorf("the error lacks the provider, the operation or the id: %+v", e)
	}
}

func TestPutKeepsMetadata(t *testing.T) {
	f := newFixture(t)
	days := &nebula.RotationPolicy{IntervalDays: 90}
	put(t, f.Store, "x", "1", nebula.PutOptions{Tags: map[string]string{"a": "1", "b": "1"}, RotationPolicy: days})
	created := f.clock.now()
	f.clock.advance(time.Hour)
	put(t, f.Store, "x", "2", nebula.PutOptions{Tags: map[string]string{"b": "2"}})
	m := get(t, f.Store, "x").Metadata
	if !m.CreatedAt.Equal(created) || !m.LastModified.Equal(f.clock.now()) || m.RotationPolicy != *days ||
		fmt.Sprint(m.Tags) != "map[a:1 b:2]" {
		t.Errorf("a second put left %+v", m)
	}
	put(t, f.Store, "x", "3", nebula.PutOptions{ClearTags: true, Tags: map[string]string{"c": "3"}, RotationPolicy: &nebula.RotationPolicy{}})
	m = get(t, f.Store, "x").Metadata
	if fmt.Sprint(m.Tags) != "map[c:3]" || m.RotationPolicy.IntervalDays != 0 {
		t.Errorf("clearing left %+v", m)
	}
}

func TestLastModifiedAlwaysGrows(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "1", nebula.PutOptions{})
	first := get(t, f.Store, "x").Metadata.LastModified
	f.clock.advance(-time.Hour)
	put(t, f.Store, "x", "2", nebula.PutOptions{})
	if second := get(t, f.Store, "x").Metadata.LastModified; second.Sub(first) != time.Microsecond {
		t.Errorf("with a clock that went back, last_modified moved by %v", second.Sub(first))
	}
}

func TestPutConditions(t *testing.T) {
	f := newFixture(t)
	value := nebula.NewSecret([]byte("v"))
	attempt := func(options nebula.PutOptions) error {
		_, err := f.Put(t.Context(), "x", value, options)
		return err
	}
	wantKind(t, attempt(nebula.PutOptions{IfVersion: "abc"}), nebula.ErrConflict)
	wantKind(t, attempt(nebula.PutOptions{IfAbsent: true}), "")
	wantKind(t, attempt(nebula.PutOptions{IfAbsent: true}), nebula.ErrAlreadyExists)
	wantKind(t, attempt(nebula.PutOptions{IfVersion: "abc"}), nebula.ErrConflict)
	old := get(t, f.Store, "x")
	wantKind(t, attempt(nebula.PutOptions{IfVersion: old.Version}), "")
	wantKind(t, attempt(nebula.PutOptions{IfVersion: old.Version}), nebula.ErrConflict)
	wantKind(t, attempt(nebula.PutOptions{Previous: &old}), nebula.ErrConflict)
	current := get(t, f.Store, "x")
	f.calls.take()
	wantKind(t, attempt(nebula.PutOptions{Previous: &current}), "")
	if made := f.calls.take(); fmt.Sprint(made) != "[store x]" {
		t.Errorf("with the previous credential at hand, %v was called", made)
	}
	wantKind(t, attempt(nebula.PutOptions{IfAbsent: true, IfVersion: "abc"}), nebula.ErrUsage)
}

func TestPutRetriesWhenAnotherWriterCameFirst(t *testing.T) {
	f := newFixture(t)
	other := f.open(t, nebula.Options{})
	put(t, other, "x", "0", nebula.PutOptions{})
	races := 0
	f.calls.step(func(call provider.Call) {
		if call.Op != "store" || races == 3 {
			return
		}
		races++
		f.calls.step(nil)
		put(t, other, "x", "theirs", nebula.PutOptions{Tags: map[string]string{fmt.Sprint("t", races): "1"}})
	})
	put(t, f.Store, "x", "mine", nebula.PutOptions{Tags: map[string]string{"mine": "1"}})
	c := get(t, f.Store, "x")
	if string(c.Secret.Reveal()) != "mine" || c.Metadata.Tags["t1"] != "1" || c.Metadata.Tags["mine"] != "1" {
		t.Errorf("after a race: %q with tags %v", c.Secret.Reveal(), c.Metadata.Tags)
	}
}

func TestConcurrentTagsAreAllKept(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := f.Tag(t.Context(), "x", map[string]string{fmt.Sprint("t", i): "1"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(get(t, f.Store, "x").Metadata.Tags); n != 16 {
		t.Errorf("%d of 16 tags are there", n)
	}
}

func TestTag(t *testing.T) {
	f := newFixture(t)
	_, err := f.Tag(t.Context(), "x", map[string]string{"a": "1"}, nil)
	wantKind(t, err, nebula.ErrNotFound)
	put(t, f.Store, "x", "v", nebula.PutOptions{Tags: map[string]string{"a": "1", "b": "1"}})
	if _, err := f.Tag(t.Context(), "x", map[string]string{"c": ""}, []string{"a", "none"}); err != nil {
		t.Fatal(err)
	}
	c := get(t, f.Store, "x")
	if fmt.Sprint(c.Metadata.Tags) != "map[b:1 c:]" || string(c.Secret.Reveal()) != "v" {
		t.Errorf("tagging left %v and %q", c.Metadata.Tags, c.Secret.Reveal())
	}
	for _, bad := range []map[string]string{{"": "x"}, {"a=b": "x"}, {"a-": "x"}, {"a": "\n"}, {"a": strings.Repeat("x", 257)}, {strings.Repeat("é", 129): ""}} {
		_, err := f.Tag(t.Context(), "x", bad, nil)
		wantKind(t, err, nebula.ErrInvalidMetadata)
		_, err = f.Put(t.Context(), "x", c.Secret, nebula.PutOptions{Tags: bad})
		wantKind(t, err, nebula.ErrInvalidMetadata)
	}
}

func TestHostileIDsReachNoProvider(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for _, id := range []nebula.ID{"../x", "", nebula.ID(strings.Repeat("x", 129)), "CON", "-x", "a\x00b", "a\nb", "é", ".keyring"} {
		_, err1 := f.Get(ctx, id)
		_, err2 := f.Put(ctx, id, nebula.NewSecret([]byte("v")), nebula.PutOptions{})
		_, err3 := f.Exists(ctx, id)
		_, err4 := f.Tag(ctx, id, nil, nil)
		_, err5 := f.History(ctx, id)
		_, err6 := f.GetVersion(ctx, id, "v")
		for _, err := range []error{err1, err2, err3, err4, err5, err6, failure(f.Delete(ctx, id, nebula.DeleteOptions{})), failure(f.Purge(ctx, id)), f.Restore(ctx, id)} {
			wantKind(t, err, nebula.ErrInvalidID)
		}
	}
	if made := f.calls.take(); len(made) > 0 {
		t.Errorf("the provider was called: %v", made)
	}
}

func TestScopes(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	red, blue := f.open(t, nebula.Options{Scope: "red"}), f.open(t, nebula.Options{Scope: "blue"})
	put(t, red, "x", "red's", nebula.PutOptions{})
	put(t, f.Store, "free", "v", nebula.PutOptions{})

	_, err := blue.Get(ctx, "x")
	wantKind(t, err, nebula.ErrNotFound)
	if found, err := blue.Exists(ctx, "x"); found || err != nil {
		t.Errorf("blue sees red's credential: %v", err)
	}
	wantKind(t, failure(blue.Delete(ctx, "x", nebula.DeleteOptions{})), "")
	wantKind(t, failure(blue.Purge(ctx, "x")), "")
	_, err = blue.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrConflict)
	_, err = blue.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrAlreadyExists)
	if ids := list(t, blue, nebula.ListOptions{}); len(ids) > 0 {
		t.Errorf("blue lists %v", ids)
	}
	if ids := list(t, red, nebula.ListOptions{}); fmt.Sprint(ids) != "[x]" {
		t.Errorf("red lists %v", ids)
	}
	if c := get(t, f.Store, "x"); c.Metadata.Scope != "red" || string(c.Secret.Reveal()) != "red's" {
		t.Errorf("the store without a scope sees %+v", c)
	}
	caller := nebula.WithCaller(ctx, nebula.Caller{Scope: "blue", Owner: "ada"})
	_, err = f.Get(caller, "x")
	wantKind(t, err, nebula.ErrNotFound)
	_, err = red.Get(caller, "x")
	wantKind(t, err, nebula.ErrPermissionDenied)
	if _, err := f.Put(caller, "hers", nebula.NewSecret(nil), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if m := get(t, blue, "hers").Metadata; m.CreatedBy != "ada" || m.Scope != "blue" {
		t.Errorf("the caller's put left %+v", m)
	}
	put(t, red, "x", "red's again", nebula.PutOptions{})
	put(t, f.Store, "x", "red's still", nebula.PutOptions{})
	if c := get(t, red, "x"); c.Metadata.Scope != "red" || string(c.Secret.Reveal()) != "red's still" {
		t.Errorf("red sees %+v", c)
	}
	wantKind(t, failure(red.Delete(ctx, "x", nebula.DeleteOptions{})), "")
	if found, _ := f.Exists(ctx, "x"); found {
		t.Error("red could not delete its own")
	}
}

func list(t *testing.T, s *nebula.Store, options nebula.ListOptions) []string {
	t.Helper()
	ids := []string{}
	for e, err := range s.List(t.Context(), options) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Err != nil {
			ids = append(ids, string(e.ID)+": "+string(nebula.KindOf(e.Err)))
			continue
		}
		ids = append(ids, string(e.ID))
	}
	slices.Sort(ids)
	return ids
}

func TestList(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "a1", "v", nebula.PutOptions{Tags: map[string]string{"env": "prod", "team": "x"}})
	f.clock.advance(time.Hour)
	half := f.clock.now()
	f.clock.advance(time.Hour)
	put(t, f.Store, "a2", "v", nebula.PutOptions{Tags: map[string]string{"env": "prod"}})
	put(t, f.Store, "b1", "v", nebula.PutOptions{Tags: map[string]string{"env": "test"}})
	for _, test := range []struct {
		filter nebula.Filter
		want   string
	}{
		{nebula.Filter{}, "[a1 a2 b1]"},
		{nebula.Filter{Prefix: "a"}, "[a1 a2]"},
		{nebula.Filter{Tags: map[string]string{"env": "prod"}}, "[a1 a2]"},
		{nebula.Filter{Tags: map[string]string{"env": "prod", "team": "x"}}, "[a1]"},
		{nebula.Filter{Tags: map[string]string{"env": ""}}, "[]"},
		{nebula.Filter{CreatedAfter: half}, "[a2 b1]"},
		{nebula.Filter{CreatedBefore: half, Prefix: "a"}, "[a1]"},
		{nebula.Filter{Scope: "none"}, "[]"},
	} {
		for _, details := range []bool{false, true} {
			got := list(t, f.Store, nebula.ListOptions{Filter: test.filter, Details: details, Verify: details})
			if fmt.Sprint(got) != test.want {
				t.Errorf("%+v (details %t) lists %v, want %s", test.filter, details, got, test.want)
			}
		}
	}
	for e, err := range f.List(t.Context(), nebula.ListOptions{Details: true}) {
		if err != nil || e.Metadata == nil || e.Version == "" {
			t.Errorf("details of %s are %+v, %s, %v", e.ID, e.Metadata, e.Version, err)
		}
		break // ending early is allowed
	}
}

func TestListVerifyReportsWhatCannotBeOpened(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "good", "v", nebula.PutOptions{})
	put(t, f.Store, "bad", "v", nebula.PutOptions{})
	swap(t, f.memory, "good", "bad")
	got := list(t, f.Store, nebula.ListOptions{Verify: true})
	if fmt.Sprint(got) != "[bad: corrupted good]" {
		t.Errorf("verify lists %v", got)
	}
}

// swap stores the record of one id under another, as anyone who runs a backend can.
func swap(t *testing.T, p nebula.Provider, from, to nebula.ID) {
	t.Helper()
	source, _ := from.Name()
	target, _ := to.Name()
	r, err := p.Retrieve(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Store(t.Context(), target, r.Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestForceWritesOverWhatCannotBeRead(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "a", "v", nebula.PutOptions{})
	swap(t, f.memory, "a", "b")
	_, err := f.Get(t.Context(), "b")
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = f.Put(t.Context(), "b", nebula.NewSecret([]byte("new")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = f.Get(t.Context(), "b")
	wantKind(t, err, nebula.ErrCorrupted)
	put(t, f.Store, "b", "new", nebula.PutOptions{Force: true})
	if c := get(t, f.Store, "b"); string(c.Secret.Reveal()) != "new" {
		t.Errorf("got %q", c.Secret.Reveal())
	}
}

func TestTrackAccess(t *testing.T) {
	f := newFixture(t)
	tracking := f.open(t, nebula.Options{TrackAccess: true})
	put(t, f.Store, "x", "v", nebula.PutOptions{Tags: map[string]string{"a": "1"}})
	f.clock.advance(time.Minute)
	c := get(t, tracking, "x")
	m := get(t, f.Store, "x").Metadata
	if !m.LastAccessed.Equal(f.clock.now()) || m.Tags["a"] != "1" || m.LastModified.Equal(f.clock.now()) {
		t.Errorf("a tracked read left %+v", m)
	}
	if c.Version != get(t, f.Store, "x").Version {
		t.Error("the version returned is not the one that was written")
	}
	// A write between the read and the note of the access wins, and the read succeeds.
	f.calls.step(func(call provider.Call) {
		if call.Op == "store" {
			f.calls.step(nil)
			put(t, f.Store, "x", "theirs", nebula.PutOptions{})
		}
	})
	if c := get(t, tracking, "x"); string(c.Secret.Reveal()) != "v" {
		t.Errorf("the read gave %q", c.Secret.Reveal())
	}
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "theirs" {
		t.Errorf("noting an access replaced the value: there is %q", c.Secret.Reveal())
	}
}

func TestSoftDeleteThroughTheStore(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	first := put(t, f.Store, "x", "1", nebula.PutOptions{})
	put(t, f.Store, "x", "2", nebula.PutOptions{})
	if c, err := f.GetVersion(ctx, "x", first); err != nil || string(c.Secret.Reveal()) != "1" {
		t.Errorf("the first version gave %q, %v", c.Secret.Reveal(), err)
	}
	if versions, err := f.History(ctx, "x"); err != nil || len(versions) != 2 || !versions[0].Current {
		t.Errorf("the history is %+v, %v", versions, err)
	}
	wantKind(t, f.Restore(ctx, "x"), nebula.ErrConflict)
	wantKind(t, failure(f.Delete(ctx, "x", nebula.DeleteOptions{})), "")
	_, err := f.Get(ctx, "x")
	wantKind(t, err, nebula.ErrNotFound)
	wantKind(t, f.Restore(ctx, "x"), "")
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "2" {
		t.Errorf("restoring gave %q", c.Secret.Reveal())
	}
	wantKind(t, failure(f.Purge(ctx, "x")), "")
	wantKind(t, f.Restore(ctx, "x"), nebula.ErrNotFound)
}
