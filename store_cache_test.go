package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// backendDown makes the backend of one store fail with a kind, or never answer.
type backendDown struct{ kind atomic.Value }

func (d *backendDown) set(kind nebula.Kind) { d.kind.Store(kind) }

// silent never answers: the call lasts until the caller's deadline.
const silent nebula.Kind = "silent"

func (d *backendDown) intercept(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	kind, _ := d.kind.Load().(nebula.Kind)
	switch kind {
	case "":
		return next(ctx)
	case silent:
		<-ctx.Done()
		return ctx.Err()
	}
	return &nebula.Error{Kind: kind, Op: call.Op, Provider: call.Provider, ID: call.Name.ID(), Message: "connection refused"}
}

// cached is a store with a cache, and another process beside it.
type cached struct {
	*nebula.Store
	other *nebula.Store
	calls *calls
	down  *backendDown
}

func newCached(t *testing.T, now func() time.Time, options nebula.Options, layers ...provider.Interceptor) *cached {
	t.Helper()
	backend, key := memory.NewBackend(), newKeyFile(t)
	open := func(options nebula.Options, o ...provider.Option) *nebula.Store {
		config := memory.DefaultConfig()
		config.Backend = backend
		p, err := memory.New(config, o...)
		if err != nil {
			t.Fatal(err)
		}
		options.Keys, options.Now = []nebula.Key{key}, now
		s, err := nebula.Open(t.Context(), p, options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	c := &cached{calls: &calls{}, down: &backendDown{}}
	c.other = open(nebula.Options{})
	if _, err := c.other.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	c.Store = open(options, provider.WithInterceptors(append(layers, c.calls.intercept, c.down.intercept)...))
	return c
}

func (c *cached) set(t *testing.T, id nebula.ID, value string) {
	t.Helper()
	if _, err := c.other.Put(t.Context(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cached) want(t *testing.T, id nebula.ID, value string) nebula.Credential {
	t.Helper()
	got, err := c.Get(t.Context(), id)
	if err != nil || string(got.Secret.Reveal()) != value {
		t.Fatalf("get %s: %q, %v; want %q", id, got.Secret.Reveal(), err, value)
	}
	return got
}

func secret(text string) nebula.Secret { return nebula.NewSecret([]byte(text)) }

// TestCacheAge: a write by another process is seen exactly when the age is reached, to
// the nanosecond. Before that, the backend is not asked.
func TestCacheAge(t *testing.T) {
	clock := newClock()
	c := newCached(t, clock.now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: 10 * time.Second}})
	c.set(t, "a", "old")
	c.want(t, "a", "old")
	c.set(t, "a", "new")
	c.calls.take()
	clock.advance(10*time.Second - 1)
	if got := c.want(t, "a", "old"); !got.LastKnown.IsZero() {
		t.Errorf("marked as last known, of %v", got.LastKnown)
	}
	if calls := c.calls.take(); len(calls) != 0 {
		t.Errorf("the backend was asked: %q", calls)
	}
	clock.advance(1)
	c.want(t, "a", "new")
	if s := c.CacheStats(); s.Hits != 1 || s.Misses != 2 || s.Entries != 1 {
		t.Errorf("%+v", s)
	}
}

// TestCacheAgeCountsFromBeforeTheRead: a slow answer is as old as its request.
func TestCacheAgeCountsFromBeforeTheRead(t *testing.T) {
	clock := newClock()
	c := newCached(t, clock.now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: 10 * time.Second}})
	c.set(t, "a", "old")
	c.calls.step(func(call provider.Call) {
		if call.Op == provider.OpRetrieve && !call.Name.IsKeyring() {
			clock.advance(4 * time.Second)
		}
	})
	c.want(t, "a", "old")
	c.calls.step(nil)
	c.set(t, "a", "new")
	clock.advance(6*time.Second - 1)
	c.want(t, "a", "old")
	clock.advance(1)
	c.want(t, "a", "new")
}

// TestCacheOwnChanges: after each change a store reads what it wrote.
func TestCacheOwnChanges(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	ctx := t.Context()
	c.set(t, "a", "one")
	first := c.want(t, "a", "one")
	v, err := c.Put(ctx, "a", secret("two"), nebula.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.want(t, "a", "two"); got.Version != v {
		t.Errorf("version %s, want %s", got.Version, v)
	}
	if _, err := c.Tag(ctx, "a", map[string]string{"k": "v"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := c.want(t, "a", "two"); got.Metadata.Tags["k"] != "v" {
		t.Errorf("tags %v", got.Metadata.Tags)
	}
	first.Secret = secret("three")
	if _, err := c.Adopt(ctx, first, nebula.AdoptOptions{}); err != nil {
		t.Fatal(err)
	}
	c.want(t, "a", "three")
	if _, err := c.Delete(ctx, "a", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "a"); !errors.Is(err, nebula.ErrNotFound) {
		t.Errorf("after a deletion: %v", err)
	}
	c.set(t, "a", "four")
	c.want(t, "a", "four") // the cache does not keep that there was none
	if _, err := c.Purge(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "a"); !errors.Is(err, nebula.ErrNotFound) {
		t.Errorf("after a purge: %v", err)
	}
}

// TestCacheReadBesideAWrite: if a read begins before a write of this process and ends
// after it, its result is not kept.
func TestCacheReadBesideAWrite(t *testing.T) {
	read, written := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	hold := func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		err := next(ctx)
		if call.Op == provider.OpRetrieve && call.Name.String() == "a" && once.CompareAndSwap(false, true) {
			close(read)
			<-written
		}
		return err
	}
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}}, hold)
	c.set(t, "a", "old")
	done := make(chan error)
	go func() { _, err := c.Get(t.Context(), "a"); done <- err }()
	<-read
	if _, err := c.Put(t.Context(), "a", secret("new"), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	close(written)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.want(t, "a", "new")
}

// TestCacheConditions: the backend checks conditions, not the cache. After a condition
// fails, the next read asks the backend, and shows why.
func TestCacheConditions(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute}})
	for name, write := range map[string]func(nebula.Credential) error{
		"if version": func(old nebula.Credential) error {
			_, err := c.Put(t.Context(), "a", secret("mine"), nebula.PutOptions{IfVersion: old.Version})
			return err
		},
		"previous": func(old nebula.Credential) error {
			_, err := c.Put(t.Context(), "a", secret("mine"), nebula.PutOptions{Previous: &old})
			return err
		},
		"delete": func(old nebula.Credential) error {
			_, err := c.Delete(t.Context(), "a", nebula.DeleteOptions{IfVersion: old.Version})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.set(t, "a", "old")
			c.Refresh("a")
			old := c.want(t, "a", "old")
			c.set(t, "a", "other")
			c.want(t, "a", "old")
			if err := write(old); !errors.Is(err, nebula.ErrConflict) {
				t.Errorf("%v, want a conflict", err)
			}
			c.want(t, "a", "other")
		})
	}
	if _, err := c.Put(t.Context(), "a", secret("mine"), nebula.PutOptions{IfAbsent: true}); !errors.Is(err, nebula.ErrAlreadyExists) {
		t.Error(err)
	}
}

// TestCachePassedBy: these calls ask the backend, whatever the cache holds.
func TestCachePassedBy(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	ctx := t.Context()
	c.set(t, "a", "one")
	c.want(t, "a", "one")
	c.calls.take()
	if _, err := c.Exists(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := c.Verify(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := c.GetSealed(ctx, "a"); err != nil {
		t.Error(err)
	}
	if calls := c.calls.take(); len(calls) != 3 {
		t.Errorf("calls: %q", calls)
	}
	c.down.set(nebula.ErrUnavailable)
	_, exists := c.Exists(ctx, "a")
	_, verified := c.Verify(ctx, "a")
	_, put := c.Put(ctx, "a", secret("x"), nebula.PutOptions{})
	for _, err := range []error{exists, verified, put} {
		if !errors.Is(err, nebula.ErrUnavailable) {
			t.Errorf("in an outage: %v", err)
		}
	}
	c.want(t, "a", "one") // a write that failed keeps the last known value
}

// TestCacheWatch: after Watch has yielded a change, Get returns no older value.
func TestCacheWatch(t *testing.T) {
	c := newCached(t, time.Now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute}})
	c.set(t, "a", "one")
	c.want(t, "a", "one")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w := c.Watch(nebula.WatchOptions{Interval: time.Second}, "a")
	values := []string{"one", "two"}
	for change := range w.Changes(ctx) {
		if got := string(change.Credential.Secret.Reveal()); change.Err != nil || got != values[0] {
			t.Fatalf("%q, %v", got, change.Err)
		}
		c.want(t, "a", values[0])
		if values = values[1:]; len(values) == 0 {
			break
		}
		c.set(t, "a", "two")
	}
	if len(values) != 0 {
		t.Errorf("these values were not yielded: %q", values)
	}
}

// TestCacheScope: a value that is kept for one scope is not returned for another.
func TestCacheScope(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	mine := nebula.WithCaller(t.Context(), nebula.Caller{Scope: "mine"})
	theirs := nebula.WithCaller(t.Context(), nebula.Caller{Scope: "theirs"})
	if _, err := c.Put(mine, "a", secret("one"), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Get(mine, "a"); err != nil {
			t.Error(err)
		}
		if _, err := c.Get(theirs, "a"); !errors.Is(err, nebula.ErrNotFound) {
			t.Errorf("another scope: %v", err)
		}
	}
	c.down.set(nebula.ErrUnavailable)
	if _, err := c.Get(theirs, "a"); !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("another scope, in an outage: %v", err)
	}
}

// TestCacheBounded: the cache keeps a limited number of entries, and of bytes.
func TestCacheBounded(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, Entries: 10}})
	for i := range 30 {
		id := nebula.ID(fmt.Sprintf("id%d", i))
		c.set(t, id, "value")
		c.want(t, id, "value")
		c.want(t, "id0", "value") // in use: it stays
	}
	if s := c.CacheStats(); s.Entries != 10 {
		t.Errorf("%d entries", s.Entries)
	}
	c.calls.take()
	c.want(t, "id0", "value")
	c.want(t, "id29", "value")
	if calls := c.calls.take(); len(calls) != 0 {
		t.Errorf("the entries used last were removed: %q", calls)
	}
	large := strings.Repeat("x", 4<<20)
	for i := range 10 {
		id := nebula.ID(fmt.Sprintf("large%d", i))
		c.set(t, id, large)
		c.want(t, id, large)
	}
	if s := c.CacheStats(); s.Entries > 3 { // each takes more than 10 MiB
		t.Errorf("%d large entries are kept", s.Entries)
	}
}

// TestCacheRotation: a kept record is not returned after its key was replaced.
func TestCacheRotation(t *testing.T) {
	c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	c.set(t, "a", "one")
	c.set(t, "b", "two")
	c.want(t, "a", "one")
	if _, err := c.other.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.want(t, "b", "two") // this reads the new keyring
	c.down.set(nebula.ErrUnavailable)
	_, err := c.Get(t.Context(), "a")
	if !errors.Is(err, nebula.ErrUnavailable) || !strings.Contains(err.Error(), "another data key than the current one") {
		t.Errorf("a record under the old key: %v", err)
	}
	c.want(t, "b", "two")
}

// A rotation by this process gives records new versions, so they are read anew.
func TestCacheOfTheProcessThatRotates(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute}})
	put(t, s, "x", "v", nebula.PutOptions{})
	get(t, s, "x")
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if c, now := get(t, s, "x"), f.record(t, "x").Version; c.Version != now {
		t.Errorf("the version is %s, and Get returned %s", now, c.Version)
	}
}

func TestCacheGetMany(t *testing.T) {
	clock := newClock()
	c := newCached(t, clock.now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: 10 * time.Second, LastKnown: time.Minute}})
	c.set(t, "a", "one")
	c.set(t, "b", "two")
	get := func(ids ...nebula.ID) []nebula.GetResult { return c.GetMany(t.Context(), ids) }
	c.want(t, "a", "one")
	c.calls.take()
	got := get("a", "b", "a", "none")
	if got[0].Err != nil || got[1].Err != nil || string(got[2].Secret.Reveal()) != "one" || !errors.Is(got[3].Err, nebula.ErrNotFound) {
		t.Fatalf("%+v", got)
	}
	got[0].Secret.Wipe()
	if string(got[2].Secret.Reveal()) != "one" {
		t.Error("two results share a secret")
	}
	if calls := strings.Join(c.calls.take(), " "); strings.Contains(calls, "retrieve a") {
		t.Errorf("values in the cache were read: %s", calls)
	}
	clock.advance(30 * time.Second)
	c.down.set(nebula.ErrUnavailable)
	got = get("a", "b", "none")
	if got[0].LastKnown.IsZero() || string(got[1].Secret.Reveal()) != "two" || !errors.Is(got[2].Err, nebula.ErrUnavailable) {
		t.Errorf("in an outage: %+v", got)
	}
}

// TestLastKnownKinds: last known values are returned only while the backend is
// unavailable. Any other error is returned, and the value is dropped.
func TestLastKnownKinds(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrPermissionDenied, nebula.ErrUnauthenticated, nebula.ErrCorrupted, nebula.ErrNotFound} {
		t.Run(string(kind), func(t *testing.T) {
			c := newCached(t, newClock().now, nebula.Options{Cache: nebula.CacheOptions{LastKnown: time.Hour}})
			c.set(t, "a", "one")
			c.want(t, "a", "one")
			c.down.set(kind)
			if _, err := c.Get(t.Context(), "a"); !errors.Is(err, kind) {
				t.Errorf("%v, want %s", err, kind)
			}
			c.down.set(nebula.ErrUnavailable)
			if _, err := c.Get(t.Context(), "a"); !errors.Is(err, nebula.ErrUnavailable) {
				t.Errorf("%v: a value that was refused is returned in an outage", err)
			}
		})
	}
}

// TestLastKnownAge: a copy is returned, with its mark, for the stated time, not longer.
func TestLastKnownAge(t *testing.T) {
	clock := newClock()
	c := newCached(t, clock.now, nebula.Options{Cache: nebula.CacheOptions{LastKnown: time.Hour}})
	c.set(t, "a", "one")
	at := clock.now()
	if got := c.want(t, "a", "one"); !got.LastKnown.IsZero() {
		t.Error("marked though it was just read")
	}
	c.down.set(nebula.ErrUnavailable)
	clock.advance(time.Hour)
	if got := c.want(t, "a", "one"); !got.LastKnown.Equal(at) {
		t.Errorf("marked %v, want %v", got.LastKnown, at)
	}
	clock.advance(1)
	_, err := c.Get(t.Context(), "a")
	if !errors.Is(err, nebula.ErrUnavailable) || !strings.Contains(err.Error(), "more than 1h0m0s ago") {
		t.Errorf("%v", err)
	}
	if s := c.CacheStats(); s.LastKnown != 1 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
}

// TestOutage: a minute of an outage under load. With last known values no read fails,
// without them reads do. If the backend answers with an error, no read waits.
func TestOutage(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrUnavailable, nebula.ErrTimeout, silent} {
		for _, known := range []time.Duration{time.Hour, 0} {
			t.Run(fmt.Sprintf("%s/%v", kind, known), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testOutage(t, kind, known) })
			})
		}
	}
}

func testOutage(t *testing.T, kind nebula.Kind, known time.Duration) {
	c := newCached(t, time.Now, nebula.Options{Cache: nebula.CacheOptions{MaxAge: 5 * time.Second, LastKnown: known}})
	c.set(t, "a", "one")
	c.want(t, "a", "one")
	time.Sleep(5 * time.Second)
	c.down.set(kind)
	began := time.Now()
	var failed, late, stale int
	results := make(chan func())
	for range 10 {
		go func() {
			for time.Since(began) < time.Minute {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				got, err := c.Get(ctx, "a")
				cancel()
				took := time.Since(start)
				results <- func() {
					if err != nil {
						failed++
					} else if !got.LastKnown.IsZero() {
						stale++
					}
					if took > 0 {
						late++
					}
					if took > 2*time.Second {
						t.Errorf("a read took %v", took)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			results <- nil
		}()
	}
	for running := 10; running > 0; {
		if note := <-results; note != nil {
			note()
		} else {
			running--
		}
	}
	if kind != silent && late > 0 {
		t.Errorf("%d reads waited", late)
	}
	if known > 0 && (failed > 0 || stale < 1000) {
		t.Errorf("%d reads failed, %d were answered with last known values", failed, stale)
	}
	if known == 0 && (failed == 0 || stale > 0) {
		t.Errorf("%d reads failed, %d were answered with last known values", failed, stale)
	}
	c.down.set("")
	c.set(t, "a", "two")
	if known > 0 {
		c.want(t, "a", "one") // this looks whether the backend is back
		time.Sleep(31 * time.Second)
		synctest.Wait()
		c.Get(t.Context(), "a")
		synctest.Wait()
	}
	if got := c.want(t, "a", "two"); !got.LastKnown.IsZero() {
		t.Error("marked after the outage")
	}
}

func TestCacheOptions(t *testing.T) {
	for name, options := range map[string]nebula.Options{
		"too old":       {Cache: nebula.CacheOptions{MaxAge: time.Minute + 1}},
		"negative":      {Cache: nebula.CacheOptions{MaxAge: -1}},
		"too long":      {Cache: nebula.CacheOptions{LastKnown: 31 * 24 * time.Hour}},
		"too many":      {Cache: nebula.CacheOptions{MaxAge: 1, Entries: 1e6}},
		"access":        {Cache: nebula.CacheOptions{MaxAge: 1}, TrackAccess: true},
		"no use of it":  {Cache: nebula.CacheOptions{MaxAge: 1, Directory: "/nowhere"}},
		"none negative": {Cache: nebula.CacheOptions{Entries: -1}},
	} {
		p, err := memory.New(memory.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nebula.Open(t.Context(), p, options); !errors.Is(err, nebula.ErrInvalidConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
