package provider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// The suite of package providertest checks that every ability goes through the shell,
// and that none is hidden or invented. These tests check what is the shell's own.

func name(t *testing.T, id string) nebula.Name {
	t.Helper()
	n, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func envelope(t *testing.T, n nebula.Name) *nebula.Envelope {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{}, n, nebula.NewSecret([]byte("value")), nebula.Metadata{CreatedAt: at, LastModified: at})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func connect(t *testing.T, p nebula.Provider) nebula.Provider {
	t.Helper()
	c, ok := nebula.As[nebula.Connector](p)
	if !ok {
		t.Fatalf("%T is not a Connector", p)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// inMemory is a connected memory provider.
func inMemory(t *testing.T, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := memory.New(memory.DefaultConfig(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, p)
}

// driver is a driver without any ability, whose every call succeeds unless a
// field says otherwise.
type driver struct {
	retrieve func(context.Context) error
	exists   func(context.Context) error
	remove   func(context.Context) (bool, error)
	pages    provider.Pages
	explain  func(error) *nebula.Error
}

func call(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (d *driver) Store(context.Context, nebula.Name, *nebula.Envelope, nebula.StoreOptions) (nebula.Version, error) {
	return "1", nil
}
func (d *driver) Retrieve(ctx context.Context, _ nebula.Name) (nebula.Record, error) {
	return nebula.Record{Version: "1"}, call(ctx, d.retrieve)
}
func (d *driver) Delete(ctx context.Context, _ nebula.Name, _ nebula.Precondition) (bool, error) {
	return d.remove(ctx)
}
func (d *driver) Exists(ctx context.Context, _ nebula.Name) (bool, error) {
	return true, call(ctx, d.exists)
}
func (d *driver) List(nebula.Filter) provider.Pages { return d.pages }
func (d *driver) Describe() nebula.Description      { return nebula.Description{Provider: "test"} }
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	if d.explain != nil {
		return d.explain(err)
	}
	return &nebula.Error{Kind: nebula.KindOf(err), Message: "explained", Err: err}
}

// shelled is a connected provider over d.
func shelled(t *testing.T, d provider.Driver, policy provider.Policy, options ...provider.Option) nebula.Provider {
	t.Helper()
	return connect(t, provider.New(d, policy, provider.NewOptions(options...)))
}

func note(log *[]string, who string) provider.Interceptor {
	return func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		*log = append(*log, who+" before "+c.Op)
		err := next(ctx)
		*log = append(*log, who+" after "+c.Op)
		return err
	}
}

func TestFirstIsOutermost(t *testing.T) {
	want := []string{"a before exists", "b before exists", "b after exists", "a after exists"}
	var log []string
	for what, p := range map[string]nebula.Provider{
		"together":        inMemory(t, provider.WithInterceptors(note(&log, "a"), note(&log, "b"))),
		"one after other": inMemory(t, provider.WithInterceptors(note(&log, "a")), provider.WithInterceptors(note(&log, "b"))),
	} {
		log = nil
		if _, err := p.Exists(t.Context(), name(t, "x")); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(log, want) {
			t.Errorf("%s: %v, want %v", what, log, want)
		}
	}
}

func TestCallSaysWhat(t *testing.T) {
	var calls []provider.Call
	p := inMemory(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		calls = append(calls, c)
		return next(ctx)
	}))
	n := name(t, "said")
	options := nebula.StoreOptions{Precondition: nebula.IfAbsent()}
	v, err := p.Store(t.Context(), n, envelope(t, n), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.List(t.Context(), nebula.Filter{}).NextPage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Delete(t.Context(), n, nebula.IfVersion(v)); err != nil {
		t.Fatal(err)
	}
	want := []provider.Call{
		{Op: provider.OpConnect, Provider: "memory"},
		{Op: provider.OpStore, Provider: "memory", Name: n, Options: options},
		{Op: provider.OpList, Provider: "memory"},
		{Op: provider.OpDelete, Provider: "memory", Name: n, Options: nebula.StoreOptions{Precondition: nebula.IfVersion(v)}},
	}
	if !slices.Equal(calls, want) {
		t.Errorf("%+v, want %+v", calls, want)
	}
}

// refusing refuses every call except Connect.
func refusing(refusal error) provider.Option {
	return provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		if c.Op == provider.OpConnect {
			return next(ctx)
		}
		return refusal
	})
}

func TestContextOfInterceptorReachesDriver(t *testing.T) {
	p := inMemory(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		ctx, cancel := context.WithCancel(ctx)
		if c.Op != provider.OpConnect {
			cancel()
		}
		defer cancel()
		return next(ctx)
	}))
	if _, err := p.Exists(t.Context(), name(t, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that the interceptor's context was cancelled", err)
	}
}

func TestInterceptorMayRefuse(t *testing.T) {
	refusal := errors.New("refused")
	p := inMemory(t, refusing(refusal))
	n := name(t, "refused")
	if v, err := p.Store(t.Context(), n, envelope(t, n), nebula.StoreOptions{}); v != "" || err != refusal {
		t.Errorf("store: %q, %v", v, err)
	}
	checker, _ := nebula.As[nebula.Checker](p)
	findings := checker.Check(t.Context())
	if len(findings) != 1 || findings[0].Severity != nebula.SeverityError || !strings.Contains(findings[0].Message, "refused") {
		t.Errorf("check: %+v, want a finding with the refusal", findings)
	}
}

func TestFailureGivesNoResult(t *testing.T) {
	failure := errors.New("afterwards")
	p := inMemory(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		if err := next(ctx); err != nil || c.Op == provider.OpConnect {
			return err
		}
		return failure
	}))
	n := name(t, "failed")
	if v, err := p.Store(t.Context(), n, envelope(t, n), nebula.StoreOptions{}); v != "" || !errors.Is(err, failure) {
		t.Errorf("store: %q, %v, want no version beside an error", v, err)
	}
}

func TestLackingAbilities(t *testing.T) {
	p := shelled(t, &driver{}, provider.Policy{})
	if _, ok := nebula.As[nebula.Restorer](p); ok {
		t.Error("an ability was invented")
	}
	if _, ok := nebula.As[nebula.Describer](p); !ok {
		t.Error("the description is hidden")
	}
	// A caller that does not ask for the ability gets an error, not a panic.
	n := name(t, "x")
	_, purge := p.(nebula.Purger).Purge(t.Context(), n)
	_, history := p.(nebula.Historian).History(t.Context(), n)
	_, version := p.(nebula.VersionRetriever).RetrieveVersion(t.Context(), n, "1")
	_, batch := p.(nebula.BatchRetriever).RetrieveBatch(t.Context(), nil)
	_, storeBatch := p.(nebula.BatchStorer).StoreBatch(t.Context(), nil)
	for what, err := range map[string]error{"restore": p.(nebula.Restorer).Restore(t.Context(), n),
		"purge": purge, "history": history, "version": version, "batch": batch, "store batch": storeBatch} {
		if !errors.Is(err, nebula.ErrNotSupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if f := p.(nebula.Checker).Check(t.Context()); len(f) != 1 || f[0].Severity != nebula.SeverityError {
		t.Errorf("check: %+v", f)
	}
}

// Explain gets only foreign errors, and every error is located.
func TestErrorsAreLocated(t *testing.T) {
	foreign, shared := errors.New("foreign"), &nebula.Error{Kind: nebula.ErrConflict, Message: "ours"}
	failure := error(foreign)
	p := shelled(t, &driver{retrieve: func(context.Context) error { return failure }}, provider.Policy{})
	n := name(t, "x")
	for _, want := range []string{`retrieve "x" (test): explained`, `retrieve "x" (test): ours`} {
		_, err := p.Retrieve(t.Context(), n)
		if err == nil || err.Error() != want || !errors.Is(err, failure) && failure == foreign {
			t.Errorf("%v, want %s", err, want)
		}
		failure = shared
	}
	if shared.Op != "" || shared.ID != "" {
		t.Errorf("the driver's error was changed: %+v", shared)
	}
}

// If an attempt with an unclear outcome deleted something, its repetition reports it
// as deleted.
func TestDeletionAfterAnUnclearAttempt(t *testing.T) {
	attempts := 0
	d := &driver{remove: func(context.Context) (bool, error) {
		if attempts++; attempts == 1 {
			return false, &nebula.Error{Kind: nebula.ErrUnavailable, Err: provider.ErrUnclear}
		}
		return false, nil
	}}
	p := shelled(t, d, provider.Policy{Retry: provider.DefaultRetryPolicy()}, provider.WithClock(&fakeClock{}))
	if existed, err := p.Delete(t.Context(), name(t, "x"), nebula.Precondition{}); err != nil || !existed {
		t.Errorf("%v, %v, want that there was one", existed, err)
	}
	if existed, err := p.Delete(t.Context(), name(t, "x"), nebula.Precondition{}); err != nil || existed {
		t.Errorf("%v, %v, want that there was none", existed, err)
	}
}

// flaky is a list of three pages. Each fails at first.
type flaky struct {
	pages, failures int
	closed          atomic.Int32
}

func (f *flaky) Close() error { f.closed.Add(1); return nil }

func (f *flaky) Next(context.Context) ([]nebula.Entry, error) {
	if f.failures++; f.failures%2 == 1 {
		return nil, &nebula.Error{Kind: nebula.ErrUnavailable}
	}
	if f.pages++; f.pages > 3 {
		return nil, io.EOF
	}
	return []nebula.Entry{{ID: nebula.ID(fmt.Sprint("page", f.pages)), Err: errors.New("bad")}}, nil
}

// A page that failed is fetched again, the end of the list is not a failure, and the
// errors of entries are located.
func TestPagesAreRetried(t *testing.T) {
	list, metrics := &flaky{}, &provider.StorageMetrics{}
	p := shelled(t, &driver{pages: list}, provider.Policy{Retry: provider.DefaultRetryPolicy()},
		provider.WithClock(&fakeClock{}), provider.WithMetrics(metrics))
	pager := p.List(t.Context(), nebula.Filter{})
	var ids []string
	for {
		page, err := pager.NextPage(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range page {
			ids = append(ids, entry.Err.Error())
		}
	}
	want := []string{`list "page1" (test): explained`, `list "page2" (test): explained`, `list "page3" (test): explained`}
	if !slices.Equal(ids, want) || metrics.RetryCount() != 4 || metrics.ErrorCount() != 0 || metrics.ListCount() != 4 {
		t.Errorf("%v after %d retries, %d failures of %d pages", ids, metrics.RetryCount(), metrics.ErrorCount(), metrics.ListCount())
	}
	for range 2 {
		if err := pager.Close(); err != nil {
			t.Error(err)
		}
	}
	if list.closed.Load() != 1 {
		t.Errorf("closed %d times", list.closed.Load())
	}
}

// If an interceptor swallows a failure of its last next, the caller gets what that
// call gave, never the page of an earlier one.
func TestSwallowedEndIsNoEnd(t *testing.T) {
	swallow := provider.WithInterceptors(func(ctx context.Context, _ provider.Call, next func(context.Context) error) error {
		_ = next(ctx)
		return nil
	})
	pager := shelled(t, &driver{pages: &flaky{}}, provider.Policy{}, swallow).List(t.Context(), nebula.Filter{})
	if page, err := pager.NextPage(t.Context()); err != nil || len(page) != 0 {
		t.Errorf("%v, %v, want no entries and no error", page, err)
	}
	if page, err := pager.NextPage(t.Context()); err != nil || len(page) != 1 {
		t.Errorf("%v, %v, want the first page", page, err)
	}
}

// BenchmarkShell measures what the shell adds to a call of a driver that does
// nothing.
func BenchmarkShell(b *testing.B) {
	d := &driver{}
	n, err := nebula.ID("x").Name()
	if err != nil {
		b.Fatal(err)
	}
	for what, options := range map[string][]provider.Option{
		"bare":    nil,
		"metrics": {provider.WithMetrics(&provider.StorageMetrics{})},
	} {
		p := provider.New(d, provider.Policy{}, provider.NewOptions(options...))
		life, _ := nebula.As[nebula.Connector](p)
		if err := life.Connect(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Retrieve(b.Context(), n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The shell adds a few small allocations to a call, with metrics.
func TestShellAllocations(t *testing.T) {
	const limit = 4
	p := shelled(t, &driver{}, provider.Policy{}, provider.WithMetrics(new(provider.StorageMetrics)))
	n, ctx := name(t, "x"), t.Context()
	got := testing.AllocsPerRun(100, func() {
		if _, err := p.Retrieve(ctx, n); err != nil {
			t.Error(err)
		}
	})
	if got > limit {
		t.Errorf("a call allocates %v times, want at most %d", got, limit)
	}
}
