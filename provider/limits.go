package provider

import (
	"context"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
)

// timeout limits an attempt at reading to d, and an attempt at writing to 2d. An
// earlier deadline of the caller still holds.
func timeout(d time.Duration, unbounded ...string) Interceptor {
	return func(ctx context.Context, call Call, next func(context.Context) error) error {
		bound := d
		switch call.Op {
		case OpStore, OpStoreBatch, OpDelete, OpRestore, OpPurge:
			bound = 2 * d
		case OpCheck:
			return next(ctx) // many calls, and the driver limits each
		}
		if bound <= 0 || slices.Contains(unbounded, call.Op) {
			return next(ctx)
		}
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return next(ctx)
	}
}

// limit lets n calls run at once. Others wait for their turn until their context
// ends.
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
