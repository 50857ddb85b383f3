package vault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/livetest"
	"github.com/nebula-credential/nebula/middleware"
)

// What the provider with all its layers adds to the same call, with the same
// bytes, of the SDK: at most 5 % and 50 µs is the goal. Both take turns on one
// server, and the medians are reported.
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

func compare(b *testing.B, what string, ours, theirs func() error) {
	b.Run(what, func(b *testing.B) {
		took := func(call func() error) time.Duration {
			began := time.Now()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			return time.Since(began)
		}
		var mine, yours []time.Duration
		for b.Loop() {
			mine, yours = append(mine, took(ours)), append(yours, took(theirs))
		}
		slices.Sort(mine)
		slices.Sort(yours)
		middle := len(mine) / 2
		b.ReportMetric(float64(mine[middle].Microseconds()), "µs-ours")
		b.ReportMetric(float64(yours[middle].Microseconds()), "µs-sdk")
	})
}
