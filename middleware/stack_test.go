package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

// The suite passes over the whole stack.
func TestStackConformance(t *testing.T) {
	policy := middleware.Policy{Retry: middleware.DefaultRetryPolicy(), Timeout: 5 * time.Second, MaxConcurrency: 64}
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) nebula.Provider {
			p, err := memory.New(memory.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			return middleware.Stack(p, middleware.Options{Policy: &policy, Logger: slog.New(slog.DiscardHandler)})
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.Checker,
		},
		MaxRecordSize: 16 << 20, ComparesKeyring: true,
	})
}

// troubled fails as often as it is told to.
type troubled struct {
	nebula.Provider
	failures atomic.Int32
}

func (p *troubled) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	if p.failures.Add(-1) >= 0 {
		return false, errBusy
	}
	return p.Provider.Exists(ctx, name)
}

func TestObserved(t *testing.T) {
	var log bytes.Buffer
	metrics := new(middleware.StorageMetrics)
	policy := middleware.Policy{Retry: middleware.DefaultRetryPolicy()}
	inner := &troubled{Provider: connected(t)}
	clock := &fakeClock{now: time.Unix(0, 0), random: 0.5}
	outer := 0
	p := middleware.Stack(inner, middleware.Options{Policy: &policy, Metrics: metrics, Clock: clock,
		Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Outer: []middleware.Interceptor{func(ctx context.Context, _ middleware.Call, next func(context.Context) error) error {
			err := next(ctx)
			outer += 1 + middleware.Retries(ctx)
			return err
		}}})
	ctx := nebula.WithCaller(t.Context(), nebula.Caller{TraceID: "trace-7"})
	n := name(t, "watched")
	inner.failures.Store(2)
	if _, err := p.Exists(ctx, n); err != nil {
		t.Fatal(err)
	}
	_, err := p.Retrieve(ctx, n)
	if !errors.Is(err, nebula.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := p.Store(ctx, n, envelope(t, n), nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Store(ctx, n, envelope(t, n), nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err == nil {
		t.Fatal("stored twice")
	}
	if metrics.ExistsCount() != 1 || metrics.RetryCount() != 2 || metrics.RetrieveCount() != 1 || metrics.StoreCount() != 2 ||
		metrics.ErrorCount() != 1 || metrics.ErrorRate() != 0.25 || metrics.DeleteCount() != 0 || metrics.ListCount() != 0 || outer != 6 {
		t.Errorf("%+v, rate %v, outer %d", metrics.Operations(), metrics.ErrorRate(), outer)
	}
	for _, o := range metrics.Operations() {
		if o.Op == middleware.OpExists && o.LatencySum != 300*time.Millisecond {
			t.Errorf("exists took %v, want the waits too", o.LatencySum)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range []string{`"outcome":"ok","retries":2`, `"outcome":"not_found"`, `"op":"store","provider":"provider","id":"watched"`, `"outcome":"already_exists"`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `"trace_id":"trace-7"`) {
			t.Errorf("line %d does not say %s: %q", i, want, lines)
		}
	}
	if strings.Contains(log.String(), "value") {
		t.Error("the log tells a value")
	}
}

// deadlines fails the first attempts and notes how long each was given.
type deadlines struct {
	nebula.Provider
	failures int
	given    []time.Duration
}

func (p *deadlines) Retrieve(ctx context.Context, _ nebula.Name) (nebula.Record, error) {
	deadline, ok := ctx.Deadline()
	if ok {
		p.given = append(p.given, time.Until(deadline))
	}
	if p.failures--; p.failures >= 0 {
		return nebula.Record{}, errBusy
	}
	return nebula.Record{}, nil
}

func (p *deadlines) Exists(context.Context, nebula.Name) (bool, error) { return true, nil }

// waitingClock calls something while somebody waits.
type waitingClock struct {
	fakeClock
	meanwhile func()
}

func (c *waitingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.meanwhile()
	return c.fakeClock.Sleep(ctx, d)
}

// The order of the layers: a limit of time is for one attempt, and who waits to
// try again holds no turn.
func TestStackOrder(t *testing.T) {
	inner := &deadlines{failures: 2}
	clock := &waitingClock{}
	policy := middleware.Policy{Retry: middleware.DefaultRetryPolicy(), Timeout: time.Minute, MaxConcurrency: 1}
	p := middleware.Stack(inner, middleware.Options{Policy: &policy, Clock: clock})
	others := 0
	clock.meanwhile = func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := p.Exists(ctx, name(t, "other")); err != nil {
			t.Errorf("a call while another one waits: %v", err)
		}
		others++
	}
	if _, err := p.Exists(t.Context(), name(t, "x")); err != nil { // the backend is heard of
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context(), name(t, "x")); err != nil {
		t.Fatal(err)
	}
	if others != 2 || len(inner.given) != 3 {
		t.Errorf("%d calls between %d attempts with a limit", others, len(inner.given))
	}
	for i, given := range inner.given {
		if given > time.Minute || given < 50*time.Second {
			t.Errorf("attempt %d has %v", i, given)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := new(middleware.StorageMetrics)
	if m.ErrorRate() != 0 || m.AvgStoreLatency() != 0 || m.Operations() != nil {
		t.Error("averages of nothing")
	}
	m.RecordOperation(middleware.OpStore, 300, true)
	m.RecordOperation(middleware.OpStore, 100, false)
	m.RecordOperation(middleware.OpRetrieve, time.Hour, true)
	m.RecordOperation("unknown", time.Hour, false)
	if m.AvgStoreLatency() != 200 || m.StoreLatencySum() != 400 || m.AvgRetrieveLatency() != time.Hour || m.ErrorCount() != 1 {
		t.Errorf("%v %v %v", m.AvgStoreLatency(), m.StoreLatencySum(), m.ErrorCount())
	}
	all := m.Operations()
	bounds := middleware.Buckets()
	if len(all) != 2 || len(all[0].Buckets) != len(bounds) || all[0].Buckets[0] != 2 || all[1].Buckets[len(bounds)-1] != 0 {
		t.Errorf("%+v", all)
	}
}

func TestTimeouts(t *testing.T) {
	timeout := middleware.Timeout(time.Minute, middleware.OpPurge)
	for op, want := range map[string]time.Duration{
		middleware.OpRetrieve: time.Minute, middleware.OpList: time.Minute, middleware.OpConnect: time.Minute,
		middleware.OpStore: 2 * time.Minute, middleware.OpDelete: 2 * time.Minute, middleware.OpRestore: 2 * time.Minute,
		middleware.OpPurge: 0, middleware.OpCheck: 0,
	} {
		_ = timeout(t.Context(), middleware.Call{Op: op}, func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); ok != (want > 0) || ok && (left > want || left < want-time.Second) {
				t.Errorf("%s has %v, %v, want %v", op, left, ok, want)
			}
			return nil
		})
	}
	early, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = timeout(early, middleware.Call{Op: middleware.OpStore}, func(ctx context.Context) error {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) > time.Second {
			t.Error("the caller's deadline was put off")
		}
		return nil
	})
}

func TestLimit(t *testing.T) {
	limit := middleware.Limit(3)
	var under, most atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_ = limit(t.Context(), middleware.Call{}, func(context.Context) error {
				n := under.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Millisecond)
				under.Add(-1)
				return nil
			})
		})
	}
	group.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
	one := middleware.Limit(1)
	_ = one(t.Context(), middleware.Call{}, func(context.Context) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := one(ctx, middleware.Call{Op: middleware.OpStore}, func(context.Context) error { return nil })
		if !errors.Is(err, nebula.ErrTimeout) {
			t.Errorf("who waits too long gets %v", err)
		}
		return nil
	})
}
