package azure_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
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

// A disabled secret that was recovered is deleted again like any other, and so is one
// whose deletion was refused for a moment.
func TestLiveOverDeletedTwiceTried(t *testing.T) {
	for what, begin := range map[string]func(*testing.T, *rig){
		"disabled": func(t *testing.T, r *rig) {
			latest, err := r.Latest(overDeleted)
			if err != nil {
				t.Fatal(err)
			}
			latest.Disabled = true
			r.Add(latest)
			r.deleteBehind(t, overDeleted)
			r.clock.ahead.Add(int64(10 * time.Second))
		},
		"unavailable": func(_ *testing.T, r *rig) {
			r.Inject(azureserver.Fault{Operation: azureserver.DeleteSecret, Status: 503, Times: 1})
		},
	} {
		r := newRig(t)
		name, e := r.gone(t)
		begin(t, r)
		refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
		refusal.After = 1
		r.Inject(refusal)
		p := r.all(t, r.principal())
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrPermissionDenied, "setSecret/action", "was deleted again")
		r.wantsDeleted(t, p)
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

// A keyring that is live again has no command of ours that deletes it.
func TestLiveKeyringStands(t *testing.T) {
	const secret = "nebula-credentials---keyring"
	r := newRig(t)
	_ = r.store(t)
	name := nebula.KeyringName()
	keyring, err := r.open(t, r.principal()).Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	r.deleteBehind(t, secret)
	r.clock.ahead.Add(int64(10 * time.Second))
	refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
	refusal.After = 1
	r.Inject(refusal)
	r.Inject(azureserver.ForbiddenByRbac(azureserver.DeleteSecret))
	_, err = r.open(t, r.principal()).Store(t.Context(), name, keyring.Envelope, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "is live again", "az keyvault secret delete --vault-name", "--name "+secret)
}

// What is being deleted again counts as deleted for who expects its version.
func TestLiveOverDeletedOnCondition(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	c.Retry.MaxRetries = 0
	p := r.all(t, c, provider.WithClock(gated{r.clock, make(chan struct{})}))
	name, e := record(t, "gone", "v", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := removed(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(10 * time.Second))
	r.Inject(azureserver.Fault{Name: overDeleted, Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: 1, Times: 1})
	_, next := record(t, "gone", "w", nil)
	_, err = p.Store(t.Context(), name, next, nebula.StoreOptions{})
	wants(t, err, nebula.ErrUnavailable, "is being deleted again")
	r.clock.ahead.Add(int64(10 * time.Second)) // until the recovery has ended
	_, err = p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wants(t, err, nebula.ErrConflict)
	r.wantsDeleted(t, p)
}

// Closing does not wait for a retry that cannot come, and says what it waits for. What
// others wrote over meanwhile is there for readers.
func TestLiveCloseDeletesAgain(t *testing.T) {
	for _, overtaken := range []bool{false, true} {
		r := newRig(t)
		name, e := r.gone(t)
		c := r.principal()
		c.Retry.MaxRetries = 0
		var logged bytes.Buffer
		logger := provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil)))
		const says = "which takes half a minute at most"
		if err := r.all(t, c, logger).Close(); err != nil || strings.Contains(logged.String(), says) {
			t.Errorf("%v, %s", err, &logged)
		}
		p := r.all(t, c, logger, provider.WithClock(gated{r.clock, make(chan struct{})}))
		r.Inject(azureserver.Fault{Name: overDeleted, Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: 1})
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrUnavailable, "is being deleted again")
		if overtaken {
			latest, err := r.Latest(overDeleted)
			if err != nil {
				t.Fatal(err)
			}
			r.Add(latest)
			if _, err := p.Retrieve(t.Context(), name); err != nil {
				t.Error(err)
			}
			if err := p.Close(); err != nil || r.State(overDeleted) != "live" {
				t.Errorf("it is %s, %v", r.State(overDeleted), err)
			}
		} else {
			r.wantsDeleted(t, p)
		}
		if n := strings.Count(logged.String(), says); n != 1 {
			t.Errorf("%d warnings: %s", n, &logged)
		}
	}
}

// interrupted is a clock by which another write begins while one that is armed waits.
type interrupted struct {
	*clock
	armed *atomic.Bool
	begin func()
}

func (c interrupted) Sleep(ctx context.Context, d time.Duration) error {
	if !c.armed.CompareAndSwap(true, false) {
		return c.clock.Sleep(ctx, d)
	}
	go c.begin()
	<-ctx.Done()
	return ctx.Err()
}

// A write that takes over what another one recovered ends the deletion, and the error
// of the other says nothing of it.
func TestLiveOverDeletedTakenOver(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	_, next := record(t, "gone", "next", nil)
	refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
	refusal.After, refusal.Times = 1, 1
	r.Inject(refusal)
	c := r.principal()
	var armed atomic.Bool
	var puts atomic.Int32
	c.Transport = &recorder{inner: c.Transport, after: func(request *http.Request) error {
		if request.Method == http.MethodPut && puts.Add(1) == 2 {
			armed.Store(true)
		}
		return nil
	}}
	var p full
	stored := make(chan error, 1)
	p = r.all(t, c, provider.WithClock(interrupted{r.clock, &armed, func() {
		_, err := p.Store(t.Context(), name, next, nebula.StoreOptions{})
		stored <- err
	}}))
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied)
	if err != nil && strings.Contains(err.Error(), "again") {
		t.Error(err)
	}
	if err := <-stored; err != nil {
		t.Error(err)
	}
	if got, err := p.Retrieve(t.Context(), name); err != nil || string(got.Envelope.Bytes()) != string(next.Bytes()) {
		t.Errorf("another value stands: %v", err)
	}
}
