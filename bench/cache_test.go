package bench

import (
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/provider/local"
)

// BenchmarkRetrieveCached compares Get from files with Get from the cache. Both open the
// sealed record; the cache saves the call of the backend. The files have not changed, so
// the local store does not read them either.
func BenchmarkRetrieveCached(b *testing.B) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	config := local.DefaultConfig()
	config.BasePath = s.dir
	p, err := local.New(config)
	check(b, err)
	cached, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{s.key}, Cache: nebula.CacheOptions{MaxAge: time.Minute}})
	check(b, err)
	b.Cleanup(func() { cached.Close() })
	settle()
	_, err = s.Get(ctx, id(0))
	check(b, err)
	paired.Run(b, 200,
		func(int) { _, err := s.Get(ctx, id(0)); check(b, err) },
		func(int) { _, err := cached.Get(ctx, id(0)); check(b, err) })
	b.ReportMetric(testing.AllocsPerRun(100, func() { _, err := cached.Get(ctx, id(0)); check(b, err) }), "nebula-allocs")
}
