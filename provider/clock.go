package provider

import (
	"context"
	"math/rand/v2"
	"time"
)

// Clock is time as the middleware and the providers see it. Tests have their own.
type Clock interface {
	Now() time.Time
	// Sleep returns after d, or with the context's error where that ends first.
	Sleep(ctx context.Context, d time.Duration) error
	// Random returns a number in [0, 1), for jitter.
	Random() float64
}

// SystemClock is the time of the machine.
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
