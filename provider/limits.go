package provider

import (
	"context"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
)

// timeout limits each attempt: to d where it reads, to twice that where it
// writes. A deadline of the caller that comes earlier is obeyed as ever.
func timeout(d time.Duration, unbounded ...string) Interceptor {
	return func(ctx context.Context, call Call, next func(context.Context) error) error {
		bound := d
		switch call.Op {
		case OpStore, OpDelete, OpRestore, OpPurge:
			bound = 2 * d
		case OpCheck:
			return next(ctx) // many calls, each with a limit of its own
		}
		if bound <= 0 || slices.Contains(unbounded, call.Op) {
			return next(ctx)
		}
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return next(ctx)
	}
}

// limit lets n calls run at once; the others wait for their turn, as long as
// their context allows.
func limit(n int) Interceptor {
	slots := make(chan struct{}, n)
	return func(ctx context.Context, call Call, next func(context.Context) error) error {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return &nebula.Error{Kind: nebula.KindOf(ctx.Err()), Op: call.Op, Provider: call.Provider, ID: call.Name.ID(),
				Message: "ended while waiting for other calls", Err: ctx.Err()}
		}
		defer func() { <-slots }()
		return next(ctx)
	}
}
