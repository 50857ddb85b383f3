package azure_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/histories"
)

const contenders = 8

// If eight processes write and read one credential at once, their histories have an
// order.
func TestLiveHistories(t *testing.T) {
	r := newRig(t)
	var providers []nebula.Provider
	for range contenders {
		providers = append(providers, r.open(t, r.principal()))
	}
	contend(t, providers, 1)
}

// They also have an order if connections break and requests are refused. Answers are
// not lost here: see "What is not atomic".
func TestLiveHistoriesWithFaults(t *testing.T) {
	r := newRig(t)
	c, proxy := r.throughFaults(t, true)
	name, _ := record(t, "contested", "", nil)
	var providers []nebula.Provider
	for range contenders {
		p := r.open(t, c)
		if _, err := p.Exists(t.Context(), name); err != nil { // so that the server has answered once
			t.Fatal(err)
		}
		providers = append(providers, p)
	}
	for _, fault := range []faultproxy.Fault{faultproxy.Latency(20 * time.Millisecond), faultproxy.ResetBefore(),
		faultproxy.Answer(http.StatusServiceUnavailable, ""), faultproxy.Answer(http.StatusTooManyRequests, "0")} {
		proxy.Add(faultproxy.Rule{Probability: 0.04, Fault: fault})
	}
	contend(t, providers, proxy.Seed())
}

// contend checks a history of the providers. Key Vault compares nothing when it
// writes, and shows the old value for a moment if one is stored over a deleted
// credential. So each write is without a condition, and none is a deletion.
func contend(t *testing.T, providers []nebula.Provider, seed uint64) {
	t.Helper()
	name, _ := record(t, "contested", "", nil)
	h := histories.Contend(t, name, func(i int) nebula.Provider { return providers[i] },
		histories.Load{Callers: len(providers), Rounds: 6, Seed: seed, Unconditional: 1})
	h.Verify(t)
	written, read := h.Count(histories.Put, histories.Done), h.Count(histories.Get, histories.Done)
	t.Logf("%d written, %d read", written, read)
	if written == 0 || read == 0 {
		t.Error("no writes or no reads")
	}
}
