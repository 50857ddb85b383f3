package provider_test

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
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

// The suite passes with all layers.
func TestLayersConformance(t *testing.T) {
	policy := provider.Policy{Retry: provider.DefaultRetryPolicy(), Timeout: 5 * time.Second, MaxConcurrency: 64}
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			inner, err := memory.New(memory.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			options = append(options, provider.WithLogger(slog.New(slog.DiscardHandler)))
			return provider.New(forwarder{inner.(full)}, policy, provider.NewOptions(options...))
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.BatchStorer, providertest.Notifier, providertest.Identifier, providertest.Checker,
		},
		MaxRecordSize: 16 << 20, ComparesKeyring: true,
	})
}

// full is a provider with every ability.
type full interface {
	nebula.Provider
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.BatchStorer
	nebula.Notifier
	nebula.Identifier
	nebula.Checker
}

// forwarder is a driver that passes its calls to another provider.
type forwarder struct{ full }

func (o forwarder) Open(ctx context.Context) error { return o.Connect(ctx) }
func (o forwarder) List(f nebula.Filter) provider.Pages {
	return forwarderPages{o.full.List(context.Background(), f)}
}
func (o forwarder) Explain(_ nebula.Name, err error) *nebula.Error {
	return &nebula.Error{Kind: nebula.KindOf(err), Message: "of the other provider", Err: err}
}

type forwarderPages struct{ nebula.Pager }

func (p forwarderPages) Next(ctx context.Context) ([]nebula.Entry, error) { return p.NextPage(ctx) }

func TestObserved(t *testing.T) {
	var log bytes.Buffer
	metrics := new(provider.StorageMetrics)
	clock := &fakeClock{now: time.Unix(0, 0), random: 0.5}
	failures, retries := 2, 0
	inner, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	p := provider.New(troubled{forwarder{inner.(full)}, &failures}, provider.Policy{Retry: provider.DefaultRetryPolicy()},
		provider.NewOptions(provider.WithMetrics(metrics), provider.WithClock(clock),
			provider.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			provider.WithInterceptors(func(ctx context.Context, _ provider.Call, next func(context.Context) error) error {
				err := next(ctx)
				retries += provider.Retries(ctx)
				return err
			})))
	ctx := nebula.WithCaller(t.Context(), nebula.Caller{TraceID: "trace-7"})
	if err := p.(nebula.Connector).Connect(ctx); err != nil {
		t.Fatal(err)
	}
	n := name(t, "watched")
	if _, err := p.Exists(ctx, n); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(ctx, n); !errors.Is(err, nebula.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := p.Store(ctx, n, envelope(t, n), nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Store(ctx, n, envelope(t, n), nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err == nil {
		t.Fatal("stored twice")
	}
	if metrics.ExistsCount() != 1 || metrics.RetryCount() != 2 || metrics.RetrieveCount() != 1 || metrics.StoreCount() != 2 ||
		metrics.ErrorCount() != 1 || metrics.ErrorRate() != 0.2 || metrics.DeleteCount() != 0 || metrics.ListCount() != 0 || retries != 2 {
		t.Errorf("%+v, rate %v, retries %d", metrics.Operations(), metrics.ErrorRate(), retries)
	}
	for _, o := range metrics.Operations() {
		if o.Op == provider.OpExists && o.LatencySum != 300*time.Millisecond {
			t.Errorf("exists took %v, want the waits too", o.LatencySum)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range []string{`"op":"connect"`, `"outcome":"ok","retries":2`, `"outcome":"not_found"`,
		`"op":"store","provider":"memory","id":"watched"`, `"outcome":"already_exists"`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `"trace_id":"trace-7"`) {
			t.Errorf("line %d does not say %s: %q", i, want, lines)
		}
	}
	if strings.Contains(log.String(), "value") {
		t.Error("the log shows a value")
	}
}

// troubled fails as often as it is told to before it says what exists.
type troubled struct {
	forwarder
	failures *int
}

func (d troubled) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	if *d.failures--; *d.failures >= 0 {
		return false, errBusy
	}
	return d.forwarder.Exists(ctx, name)
}

// waitingClock calls a function while somebody waits.
type waitingClock struct {
	fakeClock
	meanwhile func()
}

func (c *waitingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.meanwhile()
	return c.fakeClock.Sleep(ctx, d)
}

// This is the order of the layers: a time limit is for one attempt, and a call that
// waits for its repetition holds no turn.
func TestLayersOrder(t *testing.T) {
	var given []time.Duration
	d := &driver{retrieve: func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); ok {
			given = append(given, time.Until(deadline))
		}
		if len(given) < 3 {
			return errBusy
		}
		return nil
	}}
	clock := &waitingClock{}
	p := shelled(t, d, provider.Policy{Retry: provider.DefaultRetryPolicy(), Timeout: time.Minute, MaxConcurrency: 1}, provider.WithClock(clock))
	others := 0
	clock.meanwhile = func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := p.Exists(ctx, name(t, "other")); err != nil {
			t.Errorf("a call while another one waits: %v", err)
		}
		others++
	}
	if _, err := p.Exists(t.Context(), name(t, "x")); err != nil { // the backend has answered once
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context(), name(t, "x")); err != nil {
		t.Fatal(err)
	}
	if others != 2 || len(given) != 3 {
		t.Errorf("%d calls between %d attempts with a limit", others, len(given))
	}
	for i, limit := range given {
		if limit > time.Minute || limit < 50*time.Second {
			t.Errorf("attempt %d has %v", i, limit)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := new(provider.StorageMetrics)
	if m.ErrorRate() != 0 || m.AvgStoreLatency() != 0 || m.Operations() != nil {
		t.Error("averages of nothing")
	}
	m.RecordOperation(provider.OpStore, 300, true)
	m.RecordOperation(provider.OpStore, 100, false)
	m.RecordOperation(provider.OpRetrieve, time.Hour, true)
	m.RecordOperation("unknown", time.Hour, false)
	if m.AvgStoreLatency() != 200 || m.StoreLatencySum() != 400 || m.AvgRetrieveLatency() != time.Hour || m.ErrorCount() != 1 {
		t.Errorf("%v %v %v", m.AvgStoreLatency(), m.StoreLatencySum(), m.ErrorCount())
	}
	all := m.Operations()
	bounds := provider.Buckets()
	if len(all) != 2 || len(all[0].Buckets) != len(bounds) || all[0].Buckets[0] != 2 || all[1].Buckets[len(bounds)-1] != 0 {
		t.Errorf("%+v", all)
	}
}

func TestTimeouts(t *testing.T) {
	timeout := provider.Timeout(time.Minute, provider.OpPurge)
	for op, want := range map[string]time.Duration{
		provider.OpRetrieve: time.Minute, provider.OpList: time.Minute, provider.OpConnect: time.Minute,
		provider.OpStore: 2 * time.Minute, provider.OpDelete: 2 * time.Minute, provider.OpRestore: 2 * time.Minute,
		provider.OpPurge: 0, provider.OpCheck: 0,
	} {
		_ = timeout(t.Context(), provider.Call{Op: op}, func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); ok != (want > 0) || ok && (left > want || left < want-time.Second) {
				t.Errorf("%s has %v, %v, want %v", op, left, ok, want)
			}
			return nil
		})
	}
	early, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = timeout(early, provider.Call{Op: provider.OpStore}, func(ctx context.Context) error {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) > time.Second {
			t.Error("the caller's deadline was moved")
		}
		return nil
	})
}

func TestLimit(t *testing.T) {
	limit := provider.Limit(3)
	var under, most atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_ = limit(t.Context(), provider.Call{}, func(context.Context) error {
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
	one := provider.Limit(1)
	_ = one(t.Context(), provider.Call{}, func(context.Context) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := one(ctx, provider.Call{Op: provider.OpStore}, func(context.Context) error { return nil })
		if !errors.Is(err, nebula.ErrTimeout) {
			t.Errorf("a caller that waits too long gets %v", err)
		}
		return nil
	})
}
