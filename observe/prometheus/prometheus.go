// Package prometheus shows the metrics of providers, and of watchers, to
// Prometheus.
//
//	registry.MustRegister(prometheus.NewCollector("vault", metrics))
//
// Labels are the provider and the operation: never an id, a path or a token.
package prometheus

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Collector collects the metrics of one provider. It implements
// [prometheus.Collector].
type Collector struct {
	metrics                    *provider.StorageMetrics
	latency, failures, retries *prometheus.Desc
}

// NewCollector returns a collector of the counts of the provider of that name.
// The collectors of several providers can be registered together.
func NewCollector(provider string, metrics *provider.StorageMetrics) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("nebula_storage_"+name, help, labels, prometheus.Labels{"provider": provider})
	}
	return &Collector{
		metrics:  metrics,
		latency:  desc("operation_duration_seconds", "How long operations took, retries included.", "operation"),
		failures: desc("operation_errors_total", "Operations that failed; not found is no failure.", "operation"),
		retries:  desc("retries_total", "Attempts after the first one of an operation."),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.latency
	out <- c.failures
	out <- c.retries
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	bounds := provider.Buckets()
	for _, o := range c.metrics.Operations() {
		buckets := make(map[float64]uint64, len(bounds))
		for i, bound := range bounds {
			buckets[bound.Seconds()] = o.Buckets[i]
		}
		out <- prometheus.MustNewConstHistogram(c.latency, o.Count, o.LatencySum.Seconds(), buckets, o.Op)
		out <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(o.Errors), o.Op)
	}
	out <- prometheus.MustNewConstMetric(c.retries, prometheus.CounterValue, float64(c.metrics.RetryCount()))
}

// NewWatchAge returns a collector of the seconds since a watcher last knew that all
// its credentials are as they were yielded. The value is infinite if it never knew.
// name tells several watchers apart. Alert if it exceeds a few times the interval.
func NewWatchAge(name string, w *nebula.Watcher) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "nebula_watch_age_seconds",
		Help:        "Time since all watched credentials were known to be as they were last seen.",
		ConstLabels: prometheus.Labels{"watch": name},
	}, func() float64 {
		if age := w.Age(); age >= 0 {
			return age.Seconds()
		}
		return math.Inf(1)
	})
}
