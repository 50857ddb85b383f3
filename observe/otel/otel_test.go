package otel_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/observe/otel"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test")
	p, err := memory.New(memory.DefaultConfig(), otel.WithTracer(tracer))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("a_private_id").Name()
	_, _ = p.Exists(t.Context(), name) // not connected
	life, _ := nebula.As[nebula.Connector](p)
	_ = life.Connect(t.Context())
	_, _ = p.Retrieve(t.Context(), name)
	spans := recorder.Ended()
	want := []struct {
		name, outcome string
		code          codes.Code
	}{{"exists", "closed", codes.Error}, {"connect", "ok", codes.Unset}, {"retrieve", "not_found", codes.Unset}}
	if len(spans) != len(want) {
		t.Fatalf("%d spans", len(spans))
	}
	for i, w := range want {
		s := spans[i]
		text := s.Name() + s.Status().Description
		outcome := ""
		for _, a := range s.Attributes() {
			text += string(a.Key) + a.Value.String()
			if a.Key == "nebula.outcome" {
				outcome = a.Value.AsString()
			}
		}
		if s.Name() != "nebula.storage."+w.name || outcome != w.outcome || s.Status().Code != w.code || strings.Contains(text, "private") {
			t.Errorf("span %d: %s", i, text)
		}
	}
}

// noWait is a clock that does not wait.
type noWait struct{ provider.SystemClock }

func (noWait) Sleep(context.Context, time.Duration) error { return nil }

// failing is a driver whose first calls of Exists fail.
type failing struct {
	provider.Driver
	failures *int
}

func (failing) Describe() nebula.Description { return nebula.Description{Provider: "failing"} }

func (d failing) Exists(context.Context, nebula.Name) (bool, error) {
	if *d.failures--; *d.failures >= 0 {
		return false, &nebula.Error{Kind: nebula.ErrUnavailable}
	}
	return true, nil
}

// A call has one span, however often it is tried, and the span counts the retries.
func TestSpanOfRetries(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test")
	failures := 3
	p := provider.New(failing{failures: &failures}, provider.Policy{Retry: provider.DefaultRetryPolicy()},
		provider.NewOptions(provider.WithClock(noWait{}), otel.WithTracer(tracer)))
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("x").Name()
	if _, err := p.Exists(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	spans := recorder.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want one of connect and one of exists", len(spans))
	}
	if want := attribute.Int("nebula.retries", 3); !slices.Contains(spans[1].Attributes(), want) {
		t.Errorf("%v, want %v", spans[1].Attributes(), want)
	}
}
