// Package paired is for benchmarks that compare two implementations of the same
// operation.
package paired

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// cost is what one operation took: time, and CPU of this process in user and
// kernel mode. A server in another process adds nothing to the CPU.
type cost struct{ time, cpu time.Duration }

// Run times two operations in turn, in rounds of several of each, and reports
// the median of each and of their ratio. The machine may be noisy: what slows a
// round slows both.
func Run(b *testing.B, perRound int, bare, ours func(i int)) {
	b.Helper()
	alternate(b, perRound, bare, ours)
}

// Calls is Run for calls of a server, ten of each in a round, as a benchmark of
// its own. It reports the CPU, too.
func Calls(b *testing.B, what string, bare, ours func() error) {
	b.Run(what, func(b *testing.B) {
		call := func(f func() error) func(int) {
			return func(int) {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		}
		bareCosts, ourCosts := alternate(b, 10, call(bare), call(ours))
		cpu := func(c cost) float64 { return float64(c.cpu) }
		b.ReportMetric(median(bareCosts, cpu), "bare-cpu-ns")
		b.ReportMetric(median(ourCosts, cpu), "nebula-cpu-ns")
	})
}

func alternate(b *testing.B, perRound int, bare, ours func(i int)) (bareCosts, ourCosts []cost) {
	b.Helper()
	var ratios []float64
	n := 0
	for b.Loop() {
		from := n
		n += perRound
		var bareCost, ourCost cost
		// Who goes first alternates: the first may warm a cache for the second.
		if len(ratios)%2 == 0 {
			bareCost, ourCost = measure(b, bare, from, n), measure(b, ours, from, n)
		} else {
			ourCost, bareCost = measure(b, ours, from, n), measure(b, bare, from, n)
		}
		bareCosts = append(bareCosts, bareCost)
		ourCosts = append(ourCosts, ourCost)
		ratios = append(ratios, float64(ourCost.time)/float64(bareCost.time))
	}
	elapsed := func(c cost) float64 { return float64(c.time) }
	b.ReportMetric(0, "ns/op") // a round of both says nothing
	b.ReportMetric(median(bareCosts, elapsed), "bare-ns")
	b.ReportMetric(median(ourCosts, elapsed), "nebula-ns")
	b.ReportMetric(median(ratios, func(r float64) float64 { return r }), "ratio")
	return bareCosts, ourCosts
}

// measure returns the cost of one operation, as the mean of several.
func measure(b *testing.B, f func(int), from, to int) cost {
	used, start := processCPU(b), time.Now()
	for i := from; i < to; i++ {
		f(i)
	}
	elapsed, n := time.Since(start), time.Duration(to-from)
	return cost{elapsed / n, (processCPU(b) - used) / n}
}

func processCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = of(v)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
