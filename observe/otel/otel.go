// Package otel makes an OpenTelemetry span of each call of a provider.
//
//	p, err := vault.New(config, otel.WithTracer(tracer))
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
	"github.com/nebula-credential/nebula/provider"
)

// WithTracer makes a provider make its spans with tracer.
func WithTracer(tracer trace.Tracer) provider.Option { return provider.WithInterceptors(Spans(tracer)) }

// Spans returns the interceptor that makes the spans.
func Spans(tracer trace.Tracer) provider.Interceptor {
	return func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		ctx, span := tracer.Start(ctx, "nebula.storage."+call.Op, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("nebula.provider", call.Provider), attribute.String("nebula.operation", call.Op)))
		defer span.End()
		err := next(ctx)
		outcome := provider.Outcome(err)
		span.SetAttributes(attribute.String("nebula.outcome", outcome), attribute.Int("nebula.retries", provider.Retries(ctx)))
		// The error's text holds the id: its kind says enough.
		if err != nil && !errors.Is(err, nebula.ErrNotFound) {
			span.SetStatus(codes.Error, outcome)
		}
		return err
	}
}
