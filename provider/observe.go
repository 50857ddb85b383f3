package provider

import (
	"context"
	"errors"
	"log/slog"

	"github.com/nebula-credential/nebula"
)

// observe counts each call and logs it: operation, provider, id, duration,
// outcome, retries and the caller's trace id. It never has a record or a token.
// metrics or logger may be nil.
func observe(metrics *StorageMetrics, logger *slog.Logger, clock Clock) Interceptor {
	return func(ctx context.Context, call Call, next func(context.Context) error) error {
		began := clock.Now()
		err := next(ctx)
		duration := clock.Now().Sub(began)
		outcome, level := Outcome(err), slog.LevelDebug
		failed := err != nil && !errors.Is(err, nebula.ErrNotFound)
		if metrics != nil {
			metrics.RecordOperation(call.Op, duration, !failed)
		}
		if failed {
			level = slog.LevelWarn
		}
		if logger == nil || !logger.Enabled(ctx, level) {
			return err
		}
		attrs := []slog.Attr{
			slog.String("op", call.Op), slog.String("provider", call.Provider), slog.String("id", call.Name.String()),
			slog.Duration("duration", duration), slog.String("outcome", outcome), slog.Int("retries", Retries(ctx)),
		}
		if trace := nebula.CallerFrom(ctx).TraceID; trace != "" {
			attrs = append(attrs, slog.String("trace_id", trace))
		}
		logger.LogAttrs(ctx, level, "storage", attrs...)
		return err
	}
}

// Outcome returns "ok", or the kind of the error: a small set, so that it can be
// the label of a metric.
func Outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return string(nebula.KindOf(err))
}
