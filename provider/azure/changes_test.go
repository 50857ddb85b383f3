package azure_test

import (
	"context"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// A write may still be under way when its caller has gone. The next write of that
// name is sent when it has ended, so the newer value stays.
func TestLiveChangesKeepTheirOrder(t *testing.T) {
	r := newRig(t)
	p := r.open(t, r.principal())
	name, first := record(t, "slow", "first", nil)
	_, second := record(t, "slow", "second", nil)
	r.Inject(azureserver.Fault{Operation: azureserver.SetSecret, Times: 1, Delay: 300 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := p.Store(ctx, name, first, nebula.StoreOptions{})
	wants(t, err, nebula.ErrTimeout)
	v, err := p.Store(t.Context(), name, second, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Retrieve(t.Context(), name)
	if err != nil || got.Version != v || string(got.Envelope.Bytes()) != string(second.Bytes()) {
		t.Errorf("the older value replaced the newer one: %v", err)
	}
	historian, _ := nebula.As[nebula.Historian](p)
	if history, err := historian.History(t.Context(), name); err != nil || len(history) != 2 {
		t.Errorf("%v, %v", history, err)
	}
}
