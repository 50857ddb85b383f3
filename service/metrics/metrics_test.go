package metrics_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/observe/prometheus"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service/metrics"
)

// parse reads the text as Prometheus does.
func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return families
}

// same compares the text with the collectors.
func same(t *testing.T, text []byte, collectors ...client.Collector) {
	t.Helper()
	registry := client.NewRegistry()
	registry.MustRegister(collectors...)
	want, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, text)
	if len(got) != len(want) {
		t.Errorf("%d families, not %d: %s", len(got), len(want), text)
	}
	for _, family := range want {
		g, found := got[family.GetName()]
		if !found {
			t.Errorf("%s is missing", family.GetName())
			continue
		}
		// The text has the bucket without a bound, which a collector leaves out.
		for _, m := range family.Metric {
			if h := m.Histogram; h != nil {
				h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(math.Inf(1)), CumulativeCount: proto.Uint64(h.GetSampleCount())})
			}
		}
		for _, f := range []*dto.MetricFamily{g, family} {
			slices.SortFunc(f.Metric, func(a, b *dto.Metric) int { return bytes.Compare(fmt.Append(nil, a.Label), fmt.Append(nil, b.Label)) })
		}
		if !proto.Equal(g, family) {
			t.Errorf("%s is\n%v, not\n%v", family.GetName(), g, family)
		}
	}
}

// Names, labels, help, types and values are the same as in the collectors.
func TestProviderAsCollected(t *testing.T) {
	m := &provider.StorageMetrics{}
	for _, d := range []time.Duration{0, 30 * time.Microsecond, 3 * time.Millisecond, time.Minute} {
		m.RecordOperation(provider.OpRetrieve, d, true)
		m.RecordOperation(provider.OpStore, 2*d, d > 0)
	}
	m.RecordRetry()
	var b bytes.Buffer
	metrics.WriteProvider(&b, "vault", m)
	same(t, b.Bytes(), prometheus.NewCollector("vault", m))
}

func TestProviderBeforeTheFirstCall(t *testing.T) {
	m := &provider.StorageMetrics{}
	var b bytes.Buffer
	metrics.WriteProvider(&b, "memory", m)
	same(t, b.Bytes(), prometheus.NewCollector("memory", m))
}

func TestCacheAsCollected(t *testing.T) {
	s := nebulatest.NewStore(t).Store
	if _, err := s.Put(t.Context(), "a", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	metrics.WriteCache(&b, "default", s)
	same(t, b.Bytes(), prometheus.NewCache("default", s))
}

// Help and label values are escaped, so that a hostile name breaks no line.
func TestHostileName(t *testing.T) {
	var b bytes.Buffer
	metrics.WriteProvider(&b, "a\"} 1\nb\\", &provider.StorageMetrics{})
	family := parse(t, b.Bytes())["nebula_storage_retries_total"]
	if got := family.GetMetric()[0].GetLabel()[0].GetValue(); got != "a\"} 1\nb\\" {
		t.Errorf("the label is %q", got)
	}
}
