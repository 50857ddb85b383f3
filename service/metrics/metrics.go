// Package metrics writes the counts of providers and stores in the text format
// of Prometheus, under the names of package observe/prometheus. It does not use
// the libraries of Prometheus, because they slow every start of a program.
package metrics

import (
	"fmt"
	"io"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// WriteProvider writes the metrics of the provider of that name. An answer may
// have each family once, so write only one provider to it.
func WriteProvider(w io.Writer, name string, m *provider.StorageMetrics) {
	operations := m.Operations()
	label := "provider=" + strconv.Quote(name)
	const duration, failures, retries = "nebula_storage_operation_duration_seconds", "nebula_storage_operation_errors_total", "nebula_storage_retries_total"
	if len(operations) > 0 {
		Head(w, duration, "histogram", "How long operations took, retries included.")
		bounds := provider.Buckets()
		for _, o := range operations {
			labels := "operation=" + strconv.Quote(o.Op) + "," + label
			for i, bound := range bounds {
				fmt.Fprintf(w, "%s_bucket{%s,le=\"%g\"} %d\n", duration, labels, bound.Seconds(), o.Buckets[i])
			}
			fmt.Fprintf(w, "%s_bucket{%s,le=\"+Inf\"} %d\n", duration, labels, o.Count)
			fmt.Fprintf(w, "%s_sum{%s} %g\n%s_count{%s} %d\n", duration, labels, o.LatencySum.Seconds(), duration, labels, o.Count)
		}
		Head(w, failures, "counter", "Operations that failed; not found is no failure.")
		for _, o := range operations {
			fmt.Fprintf(w, "%s{operation=%q,%s} %d\n", failures, o.Op, label, o.Errors)
		}
	}
	Head(w, retries, "counter", "Attempts after the first one of an operation.")
	fmt.Fprintf(w, "%s{%s} %d\n", retries, label, m.RetryCount())
}

// WriteCache writes the counts of the cache of the store of that name.
func WriteCache(w io.Writer, name string, s *nebula.Store) {
	c := s.CacheStats()
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"hits_total", "counter", "Credentials that were returned without asking the backend.", c.Hits},
		{"misses_total", "counter", "Reads for which the backend was asked.", c.Misses},
		{"last_known_total", "counter", "Credentials that were returned as last known, since the backend was unavailable.", c.LastKnown},
		{"refused_total", "counter", "Copies that could not be returned as last known: damaged, too old, under another key.", c.Refused},
		{"entries", "gauge", "Records that are held in memory.", uint64(c.Entries)},
	} {
		Head(w, "nebula_cache_"+m.name, m.kind, m.help)
		fmt.Fprintf(w, "nebula_cache_%s{store=%q} %d\n", m.name, name, m.value)
	}
}

// Head writes the lines before the samples of a metric: its help, which is one
// line, and its kind.
func Head(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}
