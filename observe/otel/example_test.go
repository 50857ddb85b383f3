package otel_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

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

	home, err := os.MkdirTemp("", "nebula-example-") // stands for the user's home directory
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)

	c, err := config.Load(config.Source{Environ: []string{"HOME=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(home, "config")}})
	if err != nil {
		log.Fatal(err)
	}
	store, err := c.Open(ctx, "", config.OpenOptions{
		Provider: []provider.Option{otel.WithTracer(tracers.Tracer("service"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.Put(ctx, "api_token", nebula.NewSecret([]byte("t0ken")), nebula.PutOptions{}); err != nil {
		log.Print(err)
	}
	if _, err := store.Exists(ctx, "api_token"); err != nil {
		log.Print(err)
	}
	// Close the store before the tracers: it may still end spans.
	if err := store.Close(); err != nil {
		log.Print(err)
	}
	if err := tracers.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	ended := spans.Ended()
	last := ended[len(ended)-1]
	fmt.Println(ended[0].Name(), "…", last.Name(), last.Attributes()[2].Value.AsString())
	// Output:
	// nebula.storage.connect … nebula.storage.exists ok
}
