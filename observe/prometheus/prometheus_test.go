package prometheus_test

import (
	"math"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/observe/prometheus"
	"github.com/nebula-credential/nebula/provider"
)

func TestCollector(t *testing.T) {
	registry := client.NewPedanticRegistry()
	metrics := map[string]*provider.StorageMetrics{"vault": {}, "local": {}}
	for backend, m := range metrics {
		registry.MustRegister(prometheus.NewCollector(backend, m))
		m.RecordOperation(provider.OpStore, 2*time.Millisecond, true)
		m.RecordOperation(provider.OpStore, time.Hour, false)
		m.RecordRetry()
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 3 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "nebula_storage_") || len(family.GetMetric()) != 2 {
			t.Errorf("%s has %d metrics", family.GetName(), len(family.GetMetric()))
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() != "provider" && label.GetName() != "operation" {
					t.Errorf("there is a label %s", label.GetName())
				}
			}
			if h := m.GetHistogram(); h != nil && (h.GetSampleCount() != 2 || h.GetSampleSum() < 3600) {
				t.Errorf("the histogram is %v", h)
			}
			for _, bucket := range m.GetHistogram().GetBucket() {
				want := uint64(1)
				if bucket.GetUpperBound() < 0.002 {
					want = 0
				}
				if bucket.GetCumulativeCount() != want {
					t.Errorf("%d took up to %v s, want %d", bucket.GetCumulativeCount(), bucket.GetUpperBound(), want)
				}
			}
		}
	}
}

func TestWatchAge(t *testing.T) {
	store := nebulatest.NewStore(t)
	store.Set("a", "1")
	w := store.Watch(nebula.WatchOptions{}, "a")
	registry := client.NewPedanticRegistry()
	registry.MustRegister(prometheus.NewWatchAge("db", w))
	age := func() float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "nebula_watch_age_seconds" {
			t.Fatalf("%v, %v", families, err)
		}
		return families[0].GetMetric()[0].GetGauge().GetValue()
	}
	if got := age(); !math.IsInf(got, 1) {
		t.Errorf("before the first look: %v", got)
	}
	for range w.Changes(t.Context()) {
		store.Set("a", "2")
		if got := age(); !math.IsInf(got, 1) && got > 60 {
			t.Errorf("while it watches: %v", got)
		}
		if !math.IsInf(age(), 1) {
			break // the first look is over
		}
	}
	if got := age(); got < 0 || got > 60 {
		t.Errorf("after a look: %v", got)
	}
}

func TestCache(t *testing.T) {
	store := nebulatest.NewStoreWith(t, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	registry := client.NewPedanticRegistry()
	registry.MustRegister(prometheus.NewCache("db", store.Store), prometheus.NewCache("other", nebulatest.NewStore(t).Store))
	store.Set("a", "1")
	for range 3 {
		if _, err := store.Get(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	store.Refresh("a")
	store.Fail(nebula.ErrUnavailable)
	if _, err := store.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"nebula_cache_hits_total": 2, "nebula_cache_misses_total": 2, "nebula_cache_last_known_total": 1,
		"nebula_cache_refused_total": 0, "nebula_cache_entries": 1}
	families, err := registry.Gather()
	if err != nil || len(families) != len(want) {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, family := range families {
		m := family.GetMetric()[0]
		if got := m.GetCounter().GetValue() + m.GetGauge().GetValue(); got != want[family.GetName()] || m.GetLabel()[0].GetValue() != "db" {
			t.Errorf("%s = %v of %s, want %v", family.GetName(), got, m.GetLabel(), want[family.GetName()])
		}
	}
}
