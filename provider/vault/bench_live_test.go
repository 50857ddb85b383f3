//go:build unix

package vault_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/middleware"
)

// What the provider with all its layers adds to the same call, with the same
// bytes, of the SDK, in time and in CPU of this process: at most 5 % and 50 µs
// is the goal. Run it with several hundred rounds: -benchtime 300x.
func BenchmarkLiveOverhead(b *testing.B) {
	s := livetest.Vault(b)
	c := liveConfig(s, s.Mount(b, 2))
	c.OneShot = true
	p := open(b, c, middleware.Options{Metrics: new(middleware.StorageMetrics)})
	bare := sdk(b, s)
	ctx := b.Context()
	name, e := record(b, "timed", strings.Repeat("v", 1024), nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		b.Fatal(err)
	}
	for i := range 99 {
		other, e := record(b, fmt.Sprint("other_", i), "v", nil)
		if _, err := p.Store(ctx, other, e, nebula.StoreOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	kv, path := bare.KVv2(c.MountPath), c.PathPrefix+"/timed"
	data := map[string]any{"record": string(e.Bytes())}
	compare(b, "retrieve",
		func() error { _, err := p.Retrieve(ctx, name); return err },
		func() error { _, err := kv.Get(ctx, path); return err })
	compare(b, "store",
		func() error { _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); return err },
		func() error { _, err := kv.Put(ctx, path, data); return err })
	compare(b, "exists",
		func() error { _, err := p.Exists(ctx, name); return err },
		func() error { _, err := kv.GetMetadata(ctx, path); return err })
	query := map[string][]string{"list": {"true"}, "exclude_deleted": {"true"}}
	compare(b, "list of 100 names",
		func() error { return pages(ctx, p, nebula.Filter{}) },
		func() error {
			_, err := bare.Logical().ReadWithDataWithContext(ctx, c.MountPath+"/metadata/"+c.PathPrefix+"/", query)
			return err
		})
}

func sdk(b *testing.B, s *livetest.VaultServer) *api.Client {
	b.Helper()
	config := api.DefaultConfig()
	config.Address = s.Address
	client, err := api.NewClient(config)
	if err != nil {
		b.Fatal(err)
	}
	client.SetToken(s.RootToken)
	client.ClearNamespace()
	return client
}

// cost is of one call.
type cost struct{ time, cpu time.Duration }

// compare lets both sides take turns of ten calls each, the first of a round
// being the second of the next, and reports the medians of the rounds.
func compare(b *testing.B, what string, ours, theirs func() error) {
	b.Run(what, func(b *testing.B) {
		sides := [2]func() error{ours, theirs}
		var costs [2][]cost
		for round := 0; b.Loop(); round++ {
			for i := range sides {
				side := (i + round) % 2
				costs[side] = append(costs[side], turn(b, sides[side]))
			}
		}
		for side, unit := range []string{"ours", "sdk"} {
			b.ReportMetric(median(costs[side], func(c cost) time.Duration { return c.time }), "µs-"+unit)
			b.ReportMetric(median(costs[side], func(c cost) time.Duration { return c.cpu }), "cpu-µs-"+unit)
		}
		b.ReportMetric(0, "ns/op") // of both together: it says nothing
	})
}

func turn(b *testing.B, call func() error) cost {
	const calls = 10
	began, used := time.Now(), processCPU(b)
	for range calls {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
	return cost{time.Since(began) / calls, (processCPU(b) - used) / calls}
}

// processCPU is what this process used so far, in the kernel too. The server
// is another process.
func processCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(costs []cost, of func(cost) time.Duration) (microseconds float64) {
	all := make([]time.Duration, len(costs))
	for i, c := range costs {
		all[i] = of(c)
	}
	slices.Sort(all)
	return float64(all[len(all)/2].Nanoseconds()) / 1000
}
