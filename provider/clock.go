package provider

import (
	"context"
	"math/rand/v2"
	"time"
)

// Clock is the source of time for shell and drivers. Tests inject their own.
type Clock interface {
	Now() time.Time
	// Sleep returns nil after d, or the context's error if the context ends first.
	Sleep(ctx context.Context, d time.Duration) error
	// Random returns a number in [0, 1), for jitter.
	Random() float64
}

// SystemClock is the clock of the machine.
type SystemClock struct{}

// Now implements [Clock].
func (SystemClock) Now() time.Time { return time.Now() }

// Random implements [Clock].
func (SystemClock) Random() float64 { return rand.Float64() }

// Sleep implements [Clock].
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
