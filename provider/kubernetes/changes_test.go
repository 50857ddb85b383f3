package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
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
	p, slow := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		object := path.Base(r.URL.Path)
		if r.Method != http.MethodGet && sent.Add(1) == 1 {
			under.Add(1)
			time.Sleep(300 * time.Millisecond)
			under.Add(-1)
		}
		answer := map[string]any{"kind": "PartialObjectMetadata", "metadata": map[string]any{"name": object, "uid": "u", "resourceVersion": "1",
			"annotations": map[string]any{"nebula-credential/id": object[len("nebula-cred-"):]}}}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			fmt.Fprint(w, err)
		}
	})
	other, e := record(t, "other", "", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wants(t, remove(ctx, p, slow), nebula.ErrTimeout)
	if under.Load() != 1 {
		t.Error("the caller waited for the change")
	}
	if _, err := p.Store(t.Context(), other, e, nebula.StoreOptions{}); err != nil || under.Load() != 1 {
		t.Errorf("another name waited: %v", err)
	}
	if err := remove(t.Context(), p, slow); err != nil || under.Load() != 0 || sent.Load() != 3 {
		t.Errorf("the next change overtook the one before: %d sent, %v", sent.Load(), err)
	}
}

// If a look before a deletion failed, it deleted nothing: a credential that is not
// there was not there before.
func TestFailedLookIsNoDeletion(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	}))
	defer server.Close()
	c := hostileConfig(t, server.URL)
	c.Retry = provider.RetryPolicy{MaxRetries: 1, BaseDelayMS: 10, MaxDelayMS: 20, Multiplier: 1}
	p := open(t, c)
	name, _ := record(t, "x", "", nil)
	if existed, err := p.Delete(t.Context(), name, nebula.Precondition{}); existed || err != nil || asked.Load() != 2 {
		t.Errorf("%v, %v after %d calls", existed, err, asked.Load())
	}
	_, err := p.Delete(t.Context(), name, nebula.IfVersion("1"))
	wants(t, err, nebula.ErrConflict)
}
