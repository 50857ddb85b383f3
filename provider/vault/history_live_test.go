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

// Many callers write one credential over a network with every kind of fault. Their
// histories have an order, and the credential is what the last of them wrote.
func TestLiveHistoryThroughFaults(t *testing.T) {
	t.Parallel() // it mostly waits
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
		t.Errorf("%v: the newest version is %d after %d writes and %d with an unclear outcome", err, newest, done, unclear)
	}
}

// numberOf returns Vault's number for the newest version.
func numberOf(versions []nebula.VersionInfo) int {
	if len(versions) == 0 {
		return 0
	}
	text, _, _ := strings.Cut(string(versions[0].Version), "-")
	n, _ := strconv.Atoi(text)
	return n
}

// Sixteen processes write one credential at once, each once. None is lost, their
// histories have an order, and each loser needs two calls.
func TestLiveSixteenWriters(t *testing.T) {
	first, proxy, c := throughFaults(t)
	name, _ := record(t, "contested", "", nil)
	writers := make([]nebula.Provider, 16)
	for i := range writers {
		writers[i] = open(t, c, provider.OneShot())
	}
	before := len(proxy.Events())
	histories.EachWritesOnce(t, name, writers).Verify(t)
	calls := len(proxy.Events()) - before
	history, err := first.(nebula.Historian).History(t.Context(), name)
	if n := numberOf(history); err != nil || n != 1+len(writers) {
		t.Errorf("%v: the newest version is %d, want one for each writer after the first", err, n)
	}
	if limit := 3 * len(writers) * (len(writers) + 1) / 2; calls > limit { // if every round has one winner
		t.Errorf("%d calls, want at most %d", calls, limit)
	}
	t.Logf("%d writers: %d calls, %d versions", len(writers), calls, numberOf(history)-1)
}

// A history has the versions that Vault keeps, the newest first, whatever the length
// of their numbers. A deleted credential has none.
func TestLiveElevenVersions(t *testing.T) {
	p, _, _ := liveOpen(t)
	ctx := t.Context()
	historian, retriever, purger := p.(nebula.Historian), p.(nebula.VersionRetriever), p.(nebula.Purger)
	name, e := record(t, "x", "v", nil)
	var newest nebula.Version
	for range 11 {
		var err error
		if newest, err = p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	history, err := historian.History(ctx, name)
	if err != nil || len(history) != 10 || history[0].Version != newest { // Vault keeps ten
		t.Fatalf("%v: %+v", err, history)
	}
	for i, version := range history {
		if got, err := retriever.RetrieveVersion(ctx, name, version.Version); err != nil || got.Version != version.Version || version.Current != (i == 0) || version.Deleted {
			t.Errorf("version %d: %+v, %v", i, version, err)
		}
	}
	if there, err := p.Exists(ctx, name); err != nil || !there {
		t.Errorf("exists: %v, %v", there, err)
	}
	_, err = retriever.RetrieveVersion(ctx, name, "x")
	wants(t, err, nebula.ErrNotFound)
	remove(t, p, name)
	_, err = historian.History(ctx, name)
	wants(t, err, nebula.ErrNotFound)
	purge(t, p, name)
	if existed, err := purger.Purge(ctx, name); err != nil || existed {
		t.Errorf("purge nothing: %v, %v", existed, err)
	}
}
