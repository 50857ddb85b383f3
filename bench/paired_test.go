// Package bench compares nebula with the bare operations it is made of, and
// the command with an empty Go program. docs/performance.md has the figures
// and the command that repeats them.
package bench

import (
	"slices"
	"testing"
	"time"
)

// paired times two operations in turn, in rounds of several of each, and
// reports the median of each and of their ratio. The machine may be noisy:
// what slows a round slows both.
func paired(b *testing.B, perRound int, bare, ours func(i int)) {
	b.Helper()
	var bareTimes, ourTimes, ratios []float64
	n := 0
	for b.Loop() {
		from := n
		n += perRound
		bareTime, ourTime := time.Duration(0), time.Duration(0)
		// Who goes first alternates: the first may warm a cache for the second.
		if len(ratios)%2 == 0 {
			bareTime, ourTime = timed(bare, from, n), timed(ours, from, n)
		} else {
			ourTime, bareTime = timed(ours, from, n), timed(bare, from, n)
		}
		bareTimes = append(bareTimes, float64(bareTime)/float64(perRound))
		ourTimes = append(ourTimes, float64(ourTime)/float64(perRound))
		ratios = append(ratios, float64(ourTime)/float64(bareTime))
	}
	b.ReportMetric(0, "ns/op") // a round of both says nothing
	b.ReportMetric(median(bareTimes), "bare-ns")
	b.ReportMetric(median(ourTimes), "nebula-ns")
	b.ReportMetric(median(ratios), "ratio")
}

func timed(f func(int), from, to int) time.Duration {
	start := time.Now()
	for i := from; i < to; i++ {
		f(i)
	}
	return time.Since(start)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
