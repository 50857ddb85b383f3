package service_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/nebula-credential/nebula/service"
)

// The counts are right, and Prometheus' own parser reads them. They show no id, no
// token, and nothing else that a client chose.
func TestMetrics(t *testing.T) {
	r, store := memory(t, func(o *service.Options) {
		o.Metrics = func(w io.Writer) { fmt.Fprint(w, "# TYPE nebula_other counter\nnebula_other 7\n") }
	})
	store.Set("chosen", "v")
	for range 3 {
		r.want(ask{method: "GET", path: at("chosen")}, 200, "")
	}
	r.want(ask{method: "GET", path: at("chosen-none")}, 404, "")
	r.want(ask{method: "CHOSEN", path: at("chosen")}, 405, "")
	r.want(ask{method: "GET", path: "/v1/chosen"}, 404, "")
	r.want(ask{method: "GET", path: at("chosen"), token: "-"}, 401, "")
	got := r.want(ask{method: "GET", path: "/metrics"}, 200, "")
	if strings.Contains(got.body, "chosen") || strings.Contains(got.body, "CHOSEN") || strings.Contains(got.body, "\"all\"") {
		t.Errorf("a label was chosen by a client: %s", got.body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for _, m := range families["nebula_http_requests_total"].GetMetric() {
		labels := make(map[string]string)
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		counts[labels["route"]+" "+labels["method"]+" "+labels["status"]] = m.GetCounter().GetValue()
	}
	for what, want := range map[string]float64{
		"/v1/credentials/{id} GET 200": 3, "/v1/credentials/{id} GET 404": 1, "/v1/credentials/{id} GET 401": 1, "other other 405": 1, "other other 404": 1,
	} {
		if counts[what] != want {
			t.Errorf("%s: %v in %v", what, counts[what], counts)
		}
	}
	for _, m := range families["nebula_http_request_duration_seconds"].GetMetric() {
		h, below := m.GetHistogram(), uint64(0)
		for _, b := range h.GetBucket() {
			if b.GetCumulativeCount() < below {
				t.Errorf("the buckets do not ascend: %v", h)
			}
			below = b.GetCumulativeCount()
		}
		if below != h.GetSampleCount() || h.GetSampleSum() <= 0 {
			t.Errorf("%v", h)
		}
	}
	if n := families["nebula_http_refused_logins_total"].GetMetric()[0].GetCounter().GetValue(); n != 1 {
		t.Errorf("%v refused", n)
	}
	if n := families["nebula_http_requests_in_flight"].GetMetric()[0].GetGauge().GetValue(); n != 1 {
		t.Errorf("%v in flight", n)
	}
	if n := families["nebula_other"].GetMetric()[0].GetCounter().GetValue(); n != 7 {
		t.Errorf("%v of the provider", n)
	}
}
