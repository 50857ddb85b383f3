//go:build unix

package aws_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/middleware"
)

// What the provider with all its layers adds to the same call, with the same
// bytes, of the SDK, in time and in CPU of this process: at most 5 % and 50 µs
// is the goal. The server is in the process, and its work in both figures. Run
// it with several hundred rounds: -benchtime 300x.
func BenchmarkLiveOverhead(b *testing.B) {
	environment(b)
	// By a clock that goes on by a quarter of an hour with every look: AWS removes
	// no version of the last day, and takes no more than a hundred of them.
	var looks atomic.Int64
	began := time.Now()
	s := newServer(b, awsserver.Options{Now: func() time.Time { return began.Add(time.Duration(looks.Add(1)) * 15 * time.Minute) }})
	c := configFor(s)
	p := open(b, c, middleware.Options{Metrics: new(middleware.StorageMetrics)})
	bare := directClient(c)
	ctx := b.Context()
	for i := range 99 {
		other, e := record(b, fmt.Sprint("other_", i), "v", nil)
		if _, err := p.Store(ctx, other, e, nebula.StoreOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	name, e := record(b, "timed", strings.Repeat("v", 1024), nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		b.Fatal(err)
	}
	id, text, stage, size := c.SecretPrefix+"timed", string(e.Bytes()), "AWSCURRENT", int32(100)
	compare(b, "retrieve",
		func() error { _, err := p.Retrieve(ctx, name); return err },
		func() error {
			_, err := bare.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage})
			return err
		})
	compare(b, "exists",
		func() error { _, err := p.Exists(ctx, name); return err },
		func() error {
			_, err := bare.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
			return err
		})
	compare(b, "list of 100",
		func() error { return pages(ctx, p, nebula.Filter{}) },
		func() error {
			_, err := bare.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: &size,
				Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{c.SecretPrefix}}}})
			return err
		})
	again := nebula.StoreOptions{Previous: e}
	compare(b, "store again",
		func() error { _, err := p.Store(ctx, name, e, again); return err },
		func() error {
			_, err := bare.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &text})
			return err
		})
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

// processCPU is what this process used so far, in the kernel too.
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
