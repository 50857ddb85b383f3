// Package otel makes an OpenTelemetry span of each call of a provider.
//
//	p = middleware.Stack(p, middleware.Options{Outer: []middleware.Interceptor{otel.Spans(tracer)}})
//
// Attributes are provider, operation, outcome and the number of retries: never
// an id, a path or a token.
package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
)

// Spans returns an interceptor that makes the spans with tracer. Its place is
// in the Outer of [middleware.Options].
func Spans(tracer trace.Tracer) middleware.Interceptor {
	return func(ctx context.Context, call middleware.Call, next func(context.Context) error) error {
		ctx, span := tracer.Start(ctx, "nebula.storage."+call.Op, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("nebula.provider", call.Provider), attribute.String("nebula.operation", call.Op)))
		defer span.End()
		err := next(ctx)
		outcome := middleware.Outcome(err)
		span.SetAttributes(attribute.String("nebula.outcome", outcome), attribute.Int("nebula.retries", middleware.Retries(ctx)))
		// The error's text holds the id: its kind says enough.
		if err != nil && !errors.Is(err, nebula.ErrNotFound) {
			span.SetStatus(codes.Error, outcome)
		}
		return err
	}
}
