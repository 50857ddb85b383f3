package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
)

// BenchmarkBackup exports stores of 1,000 and of 100,000 credentials of 1 KiB with the
// command, and imports them into an empty store. It reports the time of a credential and
// the peak memory of both processes. Only the ids should make that grow.
func BenchmarkBackup(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		n := atScale(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newCommand(b)
			s := newStore(b)
			fillQuickly(b, s, n)
			c.env = append(c.env, "NEBULA_KEY_FILE="+filepath.Join(filepath.Dir(s.dir), "key"), "NEBULA_STORAGE_LOCAL_BASE_PATH="+s.dir)
			file, into := filepath.Join(filepath.Dir(s.dir), "backup"), filepath.Join(filepath.Dir(s.dir), "into")
			var exported, imported float64
			for b.Loop() {
				exported = max(exported, c.peak(b, c.nebula, "export", "--out", file))
				target := c
				target.env = append(c.env, "NEBULA_STORAGE_LOCAL_BASE_PATH="+into)
				imported = max(imported, target.peak(b, c.nebula, "import", file))
				b.StopTimer()
				check(b, os.RemoveAll(into))
				b.StartTimer()
			}
			info, err := os.Stat(file)
			check(b, err)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/credential")
			b.ReportMetric(exported, "export-MiB")
			b.ReportMetric(imported, "import-MiB")
			b.ReportMetric(float64(info.Size())/(1<<20), "file-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fillQuickly puts n credentials of 1 KiB, several at once.
func fillQuickly(b *testing.B, s store, n int) {
	b.Helper()
	value := make([]byte, 1024)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error {
			_, err := s.Put(ctx, id(i), nebula.NewSecret(value), nebula.PutOptions{IfAbsent: true})
			return err
		})
	}
	check(b, group.Wait())
}
