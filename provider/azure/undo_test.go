package azure_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// patient is a clock that counts the pauses that are left to a retry.
type patient struct {
	*clock
	pauses *atomic.Int32
}

func (c patient) Sleep(ctx context.Context, d time.Duration) error {
	if d == azure.RetryGrace {
		c.pauses.Add(1)
	}
	return c.clock.Sleep(ctx, d)
}

// What was recovered is deleted again at once, unless a retry may come.
func TestLiveOverDeletedPause(t *testing.T) {
	for what, c := range map[string]struct {
		fault  azureserver.Fault
		time   time.Duration // of the caller
		kind   nebula.Kind
		pauses int32
	}{
		"refused":   {azureserver.ForbiddenByRbac(azureserver.SetSecret), time.Minute, nebula.ErrPermissionDenied, 0},
		"throttled": {azureserver.Fault{Operation: azureserver.SetSecret, Status: 429, Code: "Throttled"}, time.Minute, nebula.ErrUnavailable, 1},
		"given up":  {azureserver.Fault{Operation: azureserver.SetSecret, Delay: 5 * time.Second}, 300 * time.Millisecond, nebula.ErrTimeout, 0},
	} {
		r := newRig(t)
		name, e := r.gone(t)
		c.fault.After = 1
		r.Inject(c.fault)
		config := r.principal()
		config.Retry.MaxRetries = 0
		var pauses atomic.Int32
		var logged bytes.Buffer
		p := r.all(t, config, provider.WithClock(patient{r.clock, &pauses}), provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
		ctx, cancel := context.WithTimeout(t.Context(), c.time)
		defer cancel()
		_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
		wants(t, err, c.kind, "deleted again")
		r.wantsDeleted(t, p)
		if n := pauses.Load(); n != c.pauses {
			t.Errorf("%s: %d pauses, want %d", what, n, c.pauses)
		}
		if strings.Contains(logged.String(), "could not be deleted again") {
			t.Errorf("%s: %s", what, &logged)
		}
	}
}

// An error never says that what was recovered was deleted again if that is not
// known.
func TestLiveOverDeletedUntold(t *testing.T) {
	for _, c := range []struct {
		denied azureserver.Operation
		after  int // so many looks are allowed
		says   string
	}{
		{azureserver.GetSecret, 1, "getSecret/action"},            // the one that finds none
		{azureserver.GetDeletedSecret, 1, "secrets/readMetadata"}, // the one that finds it deleted
	} {
		r := newRig(t)
		name, e := r.gone(t)
		refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
		refusal.After = 1
		unseen := azureserver.ForbiddenByRbac(c.denied)
		unseen.After = c.after
		config := r.principal()
		r.Inject(refusal)
		r.Inject(unseen)
		p := r.all(t, config)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrPermissionDenied, "setSecret/action", "is live again with its old value", c.says)
	}
}

// A recovery that does not end is not waited for without end.
func TestLiveOverDeletedEndless(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	r.SetDelays(azureserver.Delays{Recover: time.Hour})
	p := r.all(t, r.principal())
	began := r.clock.Now()
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrConflict, "after 10m0s", "is live again", "after 30s")
	if waited := r.clock.Now().Sub(began); waited < 10*time.Minute+30*time.Second || waited > 11*time.Minute {
		t.Errorf("it waited %v", waited)
	}
}
