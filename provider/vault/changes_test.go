package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// A change may still be under way when its caller has gone. The next change of that
// name is sent when it has ended. Other names do not wait.
func TestChangesKeepTheirOrder(t *testing.T) {
	var under, sent atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && sent.Add(1) == 1 {
			under.Add(1)
			time.Sleep(300 * time.Millisecond)
			under.Add(-1)
		}
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, `{"data":{"current_version":1,"versions":{"1":{"created_time":"2026-01-02T03:04:05Z"}}}}`)
	}))
	defer server.Close()
	p := open(t, hostileConfig(server.URL), provider.OneShot())
	slow, _ := record(t, "slow", "", nil)
	other, _ := record(t, "other", "", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := p.Delete(ctx, slow, nebula.Precondition{})
	wants(t, err, nebula.ErrTimeout)
	if under.Load() != 1 {
		t.Error("the caller waited for the change")
	}
	if remove(t, p, other); under.Load() != 1 {
		t.Error("another name waited")
	}
	if remove(t, p, slow); under.Load() != 0 || sent.Load() != 3 {
		t.Errorf("the next change overtook the one before: %d sent", sent.Load())
	}
}
