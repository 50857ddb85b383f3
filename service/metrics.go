package service

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// buckets of the histogram, in seconds. A local read takes less than the first,
// and a write that is tried again takes some seconds.
var buckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

// metrics counts requests. Labels are routes, methods and statuses of ours: no id, no
// token, nothing that a client chose.
type metrics struct {
	running atomic.Int64
	refused atomic.Uint64 // requests without a valid token

	mu     sync.Mutex
	counts map[counted]uint64
	times  map[served]*timing
}

// served has the labels of a request. counted also has its outcome.
type (
	served  struct{ route, method string }
	counted struct {
		served
		status int
	}
)

// timing is a histogram.
type timing struct {
	count   uint64
	sum     time.Duration
	buckets [len(buckets)]uint64 // of those that took no longer, and longer than the bucket before
}

func newMetrics() *metrics {
	return &metrics{counts: make(map[counted]uint64), times: make(map[served]*timing)}
}

// servedOf returns the labels of a request.
func servedOf(r *route, method string) served {
	if r == nil || r.operation(method) == nil {
		return served{"other", "other"}
	}
	return served{r.pattern, method}
}

func (m *metrics) add(what served, status int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[counted{what, status}]++
	t := m.times[what]
	if t == nil {
		t = new(timing)
		m.times[what] = t
	}
	t.count++
	t.sum += took
	for i, most := range buckets {
		if took.Seconds() <= most {
			t.buckets[i]++
			break
		}
	}
}

// snapshot copies the counts.
func (m *metrics) snapshot() (map[counted]uint64, map[served]timing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := make(map[served]timing, len(m.times))
	for what, t := range m.times {
		times[what] = *t
	}
	return maps.Clone(m.counts), times
}

// writeTo writes the text format of Prometheus.
func (m *metrics) writeTo(w io.Writer) {
	counts, times := m.snapshot()
	head(w, "nebula_http_requests_in_flight", "gauge", "Requests that are being served.")
	fmt.Fprintf(w, "nebula_http_requests_in_flight %d\n", m.running.Load())
	head(w, "nebula_http_refused_logins_total", "counter", "Requests without a valid token.")
	fmt.Fprintf(w, "nebula_http_refused_logins_total %d\n", m.refused.Load())
	head(w, "nebula_http_requests_total", "counter", "Requests by route, method and status.")
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b counted) int {
		return cmp.Or(a.served.compare(b.served), a.status-b.status)
	}) {
		fmt.Fprintf(w, "nebula_http_requests_total{%s,status=\"%d\"} %d\n", c.labels(), c.status, counts[c])
	}
	head(w, "nebula_http_request_duration_seconds", "histogram", "Time from the header of a request to the end of its answer.")
	for _, what := range slices.SortedFunc(maps.Keys(times), served.compare) {
		times[what].writeTo(w, what.labels())
	}
}

func (s served) compare(other served) int {
	return cmp.Or(strings.Compare(s.route, other.route), strings.Compare(s.method, other.method))
}

func (s served) labels() string { return fmt.Sprintf("route=%q,method=%q", s.route, s.method) }

func head(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (t timing) writeTo(w io.Writer, labels string) {
	const name = "nebula_http_request_duration_seconds"
	below := uint64(0)
	for i, most := range buckets {
		below += t.buckets[i]
		fmt.Fprintf(w, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, most, below)
	}
	fmt.Fprintf(w, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, t.count)
	fmt.Fprintf(w, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, t.sum.Seconds(), name, labels, t.count)
}

// writeMetrics answers the counts of the service, and those of the provider.
func (s *Service) writeMetrics(*call) (answer, error) {
	var b bytes.Buffer
	s.metrics.writeTo(&b)
	if s.options.Metrics != nil {
		s.options.Metrics(&b)
	}
	return answer{status: http.StatusOK, contentType: "text/plain; version=0.0.4; charset=utf-8", body: b.Bytes()}, nil
}
