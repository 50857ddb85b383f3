package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// overtaken loses the answer to the first provider's next write, after others have
// replaced what it wrote as often as requested.
func overtaken(t *testing.T, wire *recorder, other nebula.Provider, times int) {
	t.Helper()
	done := false
	wire.after = func(r *http.Request) error {
		if r.Method == http.MethodGet || done {
			return nil
		}
		done = true
		for i := range times {
			name, e := record(t, "x", fmt.Sprint("theirs ", i), nil)
			if _, err := other.Store(r.Context(), name, e, nebula.StoreOptions{}); err != nil {
				t.Error(err)
			}
		}
		return io.ErrUnexpectedEOF
	}
}

// If the answer to a write was lost and others have replaced the value since, the
// write is still recognised: it is neither refused nor done twice.
func TestLiveOvertakenWrites(t *testing.T) {
	p, wire, c := liveOpen(t)
	c.Transport = nil
	other := open(t, c, provider.OneShot())
	ctx := t.Context()
	historian, _ := nebula.As[nebula.Historian](p)
	warm, e := record(t, "warm", "v", nil)
	if _, err := p.Store(ctx, warm, e, nebula.StoreOptions{}); err != nil { // so that the server has answered once
		t.Fatal(err)
	}
	for what, condition := range map[string]nebula.Precondition{"if absent": nebula.IfAbsent(), "unconditional": {}} {
		overtaken(t, wire, other, 2)
		name, e := record(t, "x", "ours", nil)
		v, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
		wire.after = nil
		history, failed := historian.History(ctx, name)
		if err != nil || failed != nil || len(history) != 3 || history[2].Version != v {
			t.Errorf("%s: %v, %v, %d versions, reported %q", what, err, failed, len(history), v)
		}
		purge(t, p, name)
	}
}

// If Vault no longer has the version that the write may have made, the outcome is
// unknown. That is not a conflict: a caller would conclude that nothing was written.
func TestLiveUntraceableWrite(t *testing.T) {
	p, wire, c := liveOpen(t)
	livetest.Vault(t).API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"max_versions": 1})
	c.Transport = nil
	other := open(t, c, provider.OneShot())
	name, e := record(t, "x", "first", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, e = record(t, "x", "ours", nil)
	overtaken(t, wire, other, 2)
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wants(t, err, nebula.ErrUnavailable, "nobody knows")
	purge(t, p, name)
	overtaken(t, wire, other, 2)
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrUnavailable, "nobody knows")
}
