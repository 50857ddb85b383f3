package otel_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/observe/otel"
	"github.com/nebula-credential/nebula/provider"
)

// A service that lets the configuration decide has a span for each operation.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewSpanRecorder() // in place of an exporter
	tracers := trace.NewTracerProvider(trace.WithSpanProcessor(spans))

	c, err := config.Load(config.Source{Environ: []string{"NEBULA_STORAGE_PROVIDER=memory"}})
	if err != nil {
		log.Fatal(err)
	}
	store, err := c.Open(ctx, "", config.OpenOptions{
		Provider: []provider.Option{otel.WithTracer(tracers.Tracer("service"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.Exists(ctx, nebula.ID("api_token")); err != nil && nebula.KindOf(err) != nebula.ErrNotFound {
		log.Print(err)
	}
	// First the store, which may still end spans, then the tracers.
	if err := store.Close(); err != nil {
		log.Print(err)
	}
	if err := tracers.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.Name())
	}
	// Nothing was found: so the store looked whether it is there at all.
	//
	// Output:
	// nebula.storage.connect
	// nebula.storage.exists
	// nebula.storage.exists
}
