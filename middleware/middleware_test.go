package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/memory"
)

// That every ability goes through the interceptors, that none is hidden and
// none invented, is checked by the suite of package providertest, which runs
// over a wrapped provider. Here is what is the wrapper's own.

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

func connected(t *testing.T) *memory.Provider {
	t.Helper()
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// plain has the five methods and no ability.
type plain struct{ nebula.Provider }

func note(log *[]string, who string) middleware.Interceptor {
	return func(ctx context.Context, c middleware.Call, next func(context.Context) error) error {
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
		"together": middleware.Wrap(connected(t), note(&log, "a"), note(&log, "b")),
		"nested":   middleware.Wrap(middleware.Wrap(connected(t), note(&log, "b")), note(&log, "a")),
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

func TestWrapKeepsItsOwnList(t *testing.T) {
	var log []string
	interceptors := []middleware.Interceptor{note(&log, "a")}
	p := middleware.Wrap(connected(t), interceptors...)
	interceptors[0] = note(&log, "changed")
	if _, err := p.Exists(t.Context(), name(t, "x")); err != nil || log[0] != "a before exists" {
		t.Errorf("%v, %v: the caller's slice is shared", log, err)
	}
}

func TestCallSaysWhat(t *testing.T) {
	var calls []middleware.Call
	p := middleware.Wrap(connected(t), func(ctx context.Context, c middleware.Call, next func(context.Context) error) error {
		calls = append(calls, c)
		return next(ctx)
	})
	n := name(t, "said")
	options := nebula.StoreOptions{Precondition: nebula.IfAbsent()}
	if _, err := p.Store(t.Context(), n, envelope(t, n), options); err != nil {
		t.Fatal(err)
	}
	if _, err := p.List(t.Context(), nebula.Filter{}).NextPage(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []middleware.Call{
		{Op: middleware.OpStore, Provider: "memory", Name: n, Options: options},
		{Op: middleware.OpList, Provider: "memory"},
	}
	if !slices.Equal(calls, want) {
		t.Errorf("%+v, want %+v", calls, want)
	}
}

func TestContextOfInterceptorReachesProvider(t *testing.T) {
	p := middleware.Wrap(connected(t), func(ctx context.Context, _ middleware.Call, next func(context.Context) error) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return next(ctx)
	})
	if _, err := p.Exists(t.Context(), name(t, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that the interceptor's context was cancelled", err)
	}
}

func TestInterceptorMayRefuse(t *testing.T) {
	refusal := errors.New("refused")
	p := middleware.Wrap(connected(t), func(context.Context, middleware.Call, func(context.Context) error) error { return refusal })
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
	p := middleware.Wrap(connected(t), func(ctx context.Context, _ middleware.Call, next func(context.Context) error) error {
		return errors.Join(failure, next(ctx))
	})
	n := name(t, "failed")
	if v, err := p.Store(t.Context(), n, envelope(t, n), nebula.StoreOptions{}); v != "" || !errors.Is(err, failure) {
		t.Errorf("store: %q, %v, want no version beside an error", v, err)
	}
}

func TestResultsPassUnchanged(t *testing.T) {
	inner := connected(t)
	p := middleware.Wrap(inner, note(new([]string), "a"))
	n := name(t, "same")
	e := envelope(t, n)
	version, err := p.Store(t.Context(), n, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Retrieve(t.Context(), n)
	want, _ := inner.Retrieve(t.Context(), n)
	if err != nil || got != want || got.Version != version || got.Envelope != e {
		t.Errorf("retrieve: %+v, %v, want %+v", got, err, want)
	}
	_, got2 := p.Retrieve(t.Context(), name(t, "missing"))
	_, want2 := inner.Retrieve(t.Context(), name(t, "missing"))
	if fmt.Sprint(got2) != fmt.Sprint(want2) || !errors.Is(got2, nebula.ErrNotFound) {
		t.Errorf("an error passed as %v, want %v", got2, want2)
	}
	if unwrapped := p.(nebula.Unwrapper).Unwrap(); unwrapped != nebula.Provider(inner) {
		t.Errorf("Unwrap gave %T", unwrapped)
	}
}

func TestLackingAbilities(t *testing.T) {
	p := middleware.Wrap(plain{connected(t)})
	if _, ok := nebula.As[nebula.Restorer](p); ok {
		t.Error("an ability was invented")
	}
	// Whoever does not ask gets an error, not a panic.
	n := name(t, "x")
	if err := p.(nebula.Restorer).Restore(t.Context(), n); !errors.Is(err, nebula.ErrNotSupported) {
		t.Errorf("restore: %v", err)
	}
	if err := p.(nebula.Purger).Purge(t.Context(), n); !errors.Is(err, nebula.ErrNotSupported) {
		t.Errorf("purge: %v", err)
	}
	if _, err := p.(nebula.Historian).History(t.Context(), n); !errors.Is(err, nebula.ErrNotSupported) {
		t.Errorf("history: %v", err)
	}
	if _, err := p.(nebula.VersionRetriever).RetrieveVersion(t.Context(), n, "1"); !errors.Is(err, nebula.ErrNotSupported) {
		t.Errorf("retrieve version: %v", err)
	}
	if _, err := p.(nebula.BatchRetriever).RetrieveBatch(t.Context(), nil); !errors.Is(err, nebula.ErrNotSupported) {
		t.Errorf("retrieve batch: %v", err)
	}
	if f := p.(nebula.Checker).Check(t.Context()); len(f) != 1 || f[0].Severity != nebula.SeverityError {
		t.Errorf("check: %+v", f)
	}
	// A provider without a life is always connected.
	c := p.(nebula.Connector)
	if c.Connect(t.Context()) != nil || c.State() != nebula.StateConnected || c.Close() != nil {
		t.Error("a provider without a life has one")
	}
	if got := p.(nebula.Describer).Describe().Provider; got != "provider" {
		t.Errorf("described as %q", got)
	}
}

// flaky is a list whose every page fails at first.
type flaky struct {
	nebula.Provider
	pages, failures int
}

func (f *flaky) List(context.Context, nebula.Filter) nebula.Pager { return f }
func (f *flaky) Close() error                                     { return nil }
func (f *flaky) NextPage(context.Context) ([]nebula.Entry, error) {
	if f.failures++; f.failures%2 == 1 {
		return nil, &nebula.Error{Kind: nebula.ErrUnavailable}
	}
	if f.pages++; f.pages > 3 {
		return nil, io.EOF
	}
	return []nebula.Entry{{ID: nebula.ID(fmt.Sprint("page", f.pages))}}, nil
}

// A page that failed can be asked for again by an interceptor, and the end of
// the list is no failure to it.
func TestPagesCanBeRetried(t *testing.T) {
	retries := 0
	again := func(ctx context.Context, _ middleware.Call, next func(context.Context) error) error {
		err := next(ctx)
		if err != nil {
			retries++
			err = next(ctx)
		}
		if err != nil {
			t.Errorf("the interceptor saw %v", err)
		}
		return err
	}
	pager := middleware.Wrap(&flaky{}, again).List(t.Context(), nebula.Filter{})
	defer pager.Close()
	var ids []nebula.ID
	for {
		page, err := pager.NextPage(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range page {
			ids = append(ids, entry.ID)
		}
	}
	if want := []nebula.ID{"page1", "page2", "page3"}; !slices.Equal(ids, want) || retries != 4 {
		t.Errorf("%v after %d retries, want %v after 4", ids, retries, want)
	}
}

// An interceptor that swallows a failure of the last next ends up with what
// that call gave, never with the page of an earlier one.
func TestSwallowedEndIsNoEnd(t *testing.T) {
	swallow := func(ctx context.Context, _ middleware.Call, next func(context.Context) error) error {
		_ = next(ctx)
		return nil
	}
	pager := middleware.Wrap(&flaky{}, swallow).List(t.Context(), nebula.Filter{})
	if page, err := pager.NextPage(t.Context()); err != nil || len(page) != 0 {
		t.Errorf("%v, %v, want no entries and no error", page, err)
	}
	if page, err := pager.NextPage(t.Context()); err != nil || len(page) != 1 {
		t.Errorf("%v, %v, want the first page", page, err)
	}
}
