package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
)

// BenchmarkCopyMemory copies 100,000 credentials of 1 KiB between two directories with the
// command, and reports the peak memory of the process.
func BenchmarkCopyMemory(b *testing.B) {
	credentials := atScale(100_000)
	from := newStore(b)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range credentials {
		group.Go(func() error {
			_, err := from.Put(ctx, id(i), secret(), nebula.PutOptions{IfAbsent: true, Tags: map[string]string{"n": fmt.Sprint(i)}})
			return err
		})
	}
	check(b, group.Wait())
	c := newCommand(b)
	dir := filepath.Dir(from.dir)
	config := filepath.Join(dir, "config.toml")
	most := 0.0
	for n := 0; b.Loop(); n++ {
		to := filepath.Join(dir, fmt.Sprint("copy", n))
		check(b, os.WriteFile(config, fmt.Appendf(nil, "[stores.a.local]\nbase_path = %q\n[stores.a.key]\nfile = %q\n[stores.b.local]\nbase_path = %q\n[stores.b.key]\nfile = %[2]q\n",
			from.dir, filepath.Join(dir, "key"), to), 0o600))
		for range 2 { // the second copy finds all of them there
			most = max(most, c.peak(b, c.nebula, "--config", config, "copy", "--from", "a", "--to", "b", "--all"))
		}
		names, err := os.ReadDir(to)
		check(b, err)
		if len(names) < credentials {
			b.Fatalf("%d credentials were copied", len(names))
		}
		check(b, os.RemoveAll(to))
	}
	b.ReportMetric(0, "ns/op") // the time of two copies together is of no use
	b.ReportMetric(most, "peak-MiB")
}
