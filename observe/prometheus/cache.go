package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nebula-credential/nebula"
)

// NewCache returns a collector of what the cache of a store does. name tells
// several stores apart. Alert if nebula_cache_last_known_total grows: then the
// store returns credentials for which it could not ask the backend.
func NewCache(name string, s *nebula.Store) prometheus.Collector {
	c := &cache{store: s}
	for i, is := range []struct{ name, help string }{
		{"hits_total", "Credentials that were returned without asking the backend."},
		{"misses_total", "Reads for which the backend was asked."},
		{"last_known_total", "Credentials that were returned as last known, since the backend was unavailable."},
		{"refused_total", "Copies that could not be returned as last known: damaged, too old, under another key."},
		{"entries", "Records that are held in memory."},
	} {
		c.descs[i] = prometheus.NewDesc("nebula_cache_"+is.name, is.help, nil, prometheus.Labels{"store": name})
	}
	return c
}

type cache struct {
	store *nebula.Store
	descs [5]*prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *cache) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *cache) Collect(out chan<- prometheus.Metric) {
	s := c.store.CacheStats()
	for i, count := range []uint64{s.Hits, s.Misses, s.LastKnown, s.Refused} {
		out <- prometheus.MustNewConstMetric(c.descs[i], prometheus.CounterValue, float64(count))
	}
	out <- prometheus.MustNewConstMetric(c.descs[4], prometheus.GaugeValue, float64(s.Entries))
}
