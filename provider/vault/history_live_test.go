package vault_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/provider"
)

// Many write one credential through a network that goes wrong in every way: what
// they saw has an order, and the credential is what the last of them wrote.
func TestLiveHistoryThroughFaults(t *testing.T) {
	t.Parallel() // it waits
	first, proxy, c := throughFaults(t)
	proxy.Add(faultproxy.Mix(0.15)...)
	c.Timeout, c.Retry.MaxRetries = 2*time.Second, 8
	processes := []nebula.Provider{first}
	for range 3 {
		processes = append(processes, open(t, c, provider.OneShot()))
	}
	name, _ := record(t, "contended", "", nil)
	h := histories.Contend(t, name, func(caller int) nebula.Provider { return processes[caller%len(processes)] },
		histories.Load{Callers: 8, Rounds: 12, Seed: proxy.Seed(), Pause: 20 * time.Millisecond})
	h.Verify(t)
	if proxy.Faults() == 0 || h.Count(histories.Put, histories.Done) == 0 {
		t.Errorf("%d faults, %d writes", proxy.Faults(), h.Count(histories.Put, histories.Done))
	}
	historian, _ := nebula.As[nebula.Historian](first)
	proxy.Clear()
	versions, err := historian.History(t.Context(), name)
	done, unclear := h.Count(histories.Put, histories.Done), h.Count(histories.Put, histories.Unclear)
	newest := numberOf(versions)
	if err != nil || newest < done || newest > done+unclear {
		t.Errorf("%v: the newest version is %d after %d writes and %d of which nobody knows", err, newest, done, unclear)
	}
}

// numberOf returns Vault's number of the newest version.
func numberOf(versions []nebula.VersionInfo) int {
	if len(versions) == 0 {
		return 0
	}
	text, _, _ := strings.Cut(string(versions[0].Version), "-")
	n, _ := strconv.Atoi(text)
	return n
}
