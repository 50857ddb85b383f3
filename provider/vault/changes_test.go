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
	"github.com/nebula-credential/nebula/middleware"
)

// A write whose caller went away is still under way. The next one of that name
// is sent when it has ended; others are not held up.
func TestChangesKeepTheirOrder(t *testing.T) {
	var under, sent atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sent.Add(1) == 1 {
			under.Add(1)
			time.Sleep(300 * time.Millisecond)
			under.Add(-1)
		}
		fmt.Fprint(w, `{"data":{"version":1}}`)
	}))
	defer server.Close()
	p := open(t, hostileConfig(server.URL), middleware.Options{})
	slow, _ := record(t, "slow", "", nil)
	other, _ := record(t, "other", "", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	wants(t, p.Delete(ctx, slow), nebula.ErrTimeout)
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("the deadline of 50 ms was met after %v", took)
	}
	if err := p.Delete(t.Context(), other); err != nil || under.Load() != 1 {
		t.Errorf("another name waited: %v", err)
	}
	if err := p.Delete(t.Context(), slow); err != nil || under.Load() != 0 || sent.Load() != 3 {
		t.Errorf("the next change went ahead of the one before: %v, %d sent", err, sent.Load())
	}
}
