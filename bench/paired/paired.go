// Package paired helps benchmarks that compare two implementations of an operation.
package paired

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// cost is the time of one operation, and the CPU time of this process in user and kernel
// mode. A server in another process adds nothing to the CPU time.
type cost struct{ time, cpu time.Duration }

func (c cost) elapsed() time.Duration { return c.time }
func (c cost) used() time.Duration    { return c.cpu }

// round holds the costs of both in one round.
type round struct{ bare, ours cost }

// Run times two operations in turn, several of each in a round. It reports the median of
// each, and median and quartiles of their ratio. The machine may be noisy: what slows a
// round slows both.
func Run(b *testing.B, perRound int, bare, ours func(i int)) {
	b.Helper()
	report(b, alternate(b, perRound, bare, ours), "", cost.elapsed)
}

// Calls is Run for calls of a server, ten of each in a round, as a benchmark of its own. It
// reports the CPU time, too.
func Calls(b *testing.B, what string, bare, ours func() error) {
	Batches(b, what, 1, bare, ours)
}

// Batches is Calls for operations that make several calls at once. It reports the cost of
// one call.
func Batches(b *testing.B, what string, size int, bare, ours func() error) {
	b.Run(what, func(b *testing.B) {
		call := func(f func() error) func(int) {
			return func(i int) {
				if i%size != 0 {
					return
				}
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		}
		rounds := alternate(b, 10*size, call(bare), call(ours))
		report(b, rounds, "", cost.elapsed)
		report(b, rounds, "cpu-", cost.used)
	})
}

func alternate(b *testing.B, perRound int, bare, ours func(i int)) (rounds []round) {
	b.Helper()
	n := 0
	for b.Loop() {
		from := n
		n += perRound
		var r round
		// Who goes first alternates: the first may warm a cache for the second.
		if len(rounds)%2 == 0 {
			r.bare = measure(b, bare, from, n)
			r.ours = measure(b, ours, from, n)
		} else {
			r.ours = measure(b, ours, from, n)
			r.bare = measure(b, bare, from, n)
		}
		rounds = append(rounds, r)
	}
	return rounds
}

// measure returns the mean cost of several operations.
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

// report reports one part of the costs: the time, or the CPU time.
func report(b *testing.B, rounds []round, kind string, part func(cost) time.Duration) {
	var bare, ours, ratios []float64
	for _, r := range rounds {
		bare = append(bare, float64(part(r.bare)))
		ours = append(ours, float64(part(r.ours)))
		ratios = append(ratios, float64(part(r.ours))/float64(max(part(r.bare), 1)))
	}
	b.ReportMetric(0, "ns/op") // the time of both together is of no use
	b.ReportMetric(quantile(bare, 0.5), "bare-"+kind+"ns")
	b.ReportMetric(quantile(ours, 0.5), "nebula-"+kind+"ns")
	b.ReportMetric(quantile(ratios, 0.5), kind+"ratio")
	b.ReportMetric(quantile(ratios, 0.25), kind+"ratio-low")
	b.ReportMetric(quantile(ratios, 0.75), kind+"ratio-high")
}

// quantile sorts the values.
func quantile(values []float64, at float64) float64 {
	slices.Sort(values)
	return values[int(at*float64(len(values)))]
}
