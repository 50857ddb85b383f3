package azure_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

const overDeleted = "nebula-credentials-gone"

// gone stores a credential, deletes it, and waits until the deletion can be seen.
func (r *rig) gone(t *testing.T) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	p := r.all(t, r.principal())
	name, old := record(t, "gone", "old", map[string]string{"old": "tag"})
	if _, err := p.Store(t.Context(), name, old, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := removed(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(10 * time.Second))
	_, next := record(t, "gone", "new", map[string]string{"new": "tag"})
	return name, next
}

// wantsDeleted closes the provider, so that its work in the background has ended, and
// checks that the old value is deleted.
func (r *rig) wantsDeleted(t *testing.T, p nebula.Connector) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if state := r.State(overDeleted); !strings.HasSuffix(state, "deleted") {
		t.Errorf("the secret is %s", state)
	}
}

// impatient is a clock whose deadline passes in the n-th sleep.
type impatient struct {
	*clock
	left *int
}

func (c impatient) Sleep(ctx context.Context, d time.Duration) error {
	if *c.left--; *c.left == 0 {
		return context.DeadlineExceeded
	}
	return c.clock.Sleep(ctx, d)
}

// A write over a deleted credential that does not end in time does not bring back the
// deleted value.
func TestLiveOverDeletedDeadline(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	left := 2
	c := r.principal()
	c.Retry.MaxRetries = 0
	p := r.all(t, c, provider.WithClock(impatient{r.clock, &left}))
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrTimeout, "still deleting, recovering or purging", "is being deleted again")
	r.wantsDeleted(t, p)
}

// after calls a function once, after the first matching request.
func after(c *azure.Config, method, suffix string, call func()) {
	inner, done := c.Transport, false
	c.Transport = &recorder{inner: inner, after: func(request *http.Request) error {
		if !done && request.Method == method && strings.HasSuffix(request.URL.Path, suffix) {
			done = true
			call()
		}
		return nil
	}}
}

func TestLiveOverDeletedCancelled(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := r.principal()
	after(&c, http.MethodPost, "/recover", cancel)
	p := r.all(t, c)
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInterrupted, "is being deleted again")
	r.wantsDeleted(t, p)
}

func TestLiveOverDeletedRefused(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
	refusal.After = 1 // the write that finds the name taken
	r.Inject(refusal)
	var logged bytes.Buffer
	p := r.all(t, r.principal(), provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "setSecret/action", "was deleted again")
	if found, err := p.Exists(t.Context(), name); err != nil || found {
		t.Errorf("it exists: %v, %v", found, err)
	}
	r.wantsDeleted(t, p)
	if strings.Contains(logged.String(), "could not be deleted again") {
		t.Errorf("a warning although it was deleted: %s", &logged)
	}
}

// If the provider may not look at a deleted secret, it does not recover it, and the
// error says why.
func TestLiveOverDeletedUnseen(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	r.Inject(azureserver.ForbiddenByRbac(azureserver.GetDeletedSecret))
	p := r.all(t, r.principal())
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "secrets/readMetadata/action")
	r.wantsDeleted(t, p)
}

// If the old value cannot be deleted again, the error says that it is still there.
func TestLiveOverDeletedStands(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	for _, op := range []azureserver.Operation{azureserver.SetSecret, azureserver.DeleteSecret} {
		refusal := azureserver.ForbiddenByRbac(op)
		if op == azureserver.SetSecret {
			refusal.After = 1
		}
		r.Inject(refusal)
	}
	var logged bytes.Buffer
	p := r.all(t, r.principal(), provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	began := r.clock.Now()
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "setSecret/action", "is live again with its old value", "secrets/delete", "nebula delete gone")
	if waited := r.clock.Now().Sub(began); waited > 20*time.Second {
		t.Errorf("it tried for %v what is not allowed", waited)
	}
	if found, err := p.Exists(t.Context(), name); err != nil || !found {
		t.Errorf("it exists: %v, %v", found, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(logged.String(), "could not be deleted again"); n != 1 {
		t.Errorf("%d warnings: %s", n, &logged)
	}
}

// A value that another writer stored in the meantime stays.
func TestLiveOverDeletedOvertaken(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	refusal := azureserver.ForbiddenByRbac(azureserver.SetSecret)
	refusal.After = 1
	r.Inject(refusal)
	c := r.principal()
	after(&c, http.MethodPost, "/recover", func() {
		latest, err := r.Latest(overDeleted)
		if err != nil {
			t.Error(err)
		}
		r.Add(latest)
	})
	var logged bytes.Buffer
	p := r.all(t, c, provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied)
	if err != nil && strings.Contains(err.Error(), "again") {
		t.Errorf("nothing was deleted again: %v", err)
	}
	if strings.Contains(logged.String(), "could not be deleted again") {
		t.Errorf("a warning of what others wrote over: %s", &logged)
	}
	if state := r.State(overDeleted); state != "live" {
		t.Errorf("the secret is %s", state)
	}
}

// If a write is throttled after the recovery, it is repeated. The recovered
// credential counts as deleted, and its tags are not inherited.
func TestLiveOverDeletedThrottled(t *testing.T) {
	for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
		for spared := 1; spared < 4; spared++ {
			r := newRig(t)
			name, e := r.gone(t)
			r.Inject(azureserver.Fault{Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: spared, Times: 3})
			p := r.all(t, r.principal())
			if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition}); err != nil {
				t.Fatalf("after %d: %v", spared, err)
			}
			got, err := p.Retrieve(t.Context(), name)
			if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
				t.Errorf("after %d: another record is there: %v", spared, err)
			}
			latest, err := r.Latest(overDeleted)
			delete(latest.Tags, "nebula-")
			if want := map[string]string{"new": "tag"}; err != nil || !maps.Equal(latest.Tags, want) {
				t.Errorf("after %d the tags are %v, %v", spared, latest.Tags, err)
			}
		}
	}
}

// gated is a clock that delays the second deletion of what was recovered until the
// gate is opened, a write takes it over, or the provider closes.
type gated struct {
	*clock
	gate chan struct{}
}

func (c gated) Sleep(ctx context.Context, d time.Duration) error {
	if d != azure.RetryGrace {
		return c.clock.Sleep(ctx, d)
	}
	select {
	case <-c.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Readers do not see a recovered value, even if it is deleted again while they read
// it.
func TestLiveReadWhileDeletedAgain(t *testing.T) {
	for what, read := range map[string]func(nebula.Provider, nebula.Name) bool{
		"retrieve": func(p nebula.Provider, name nebula.Name) bool {
			_, err := p.Retrieve(t.Context(), name)
			return !errors.Is(err, nebula.ErrNotFound)
		},
		"exists": func(p nebula.Provider, name nebula.Name) bool {
			found, err := p.Exists(t.Context(), name)
			return err != nil || found
		},
	} {
		r := newRig(t)
		name, e := r.gone(t)
		c := r.principal()
		c.Retry.MaxRetries = 0
		gate := make(chan struct{})
		armed := false
		c.Transport = &recorder{inner: c.Transport, after: func(request *http.Request) error {
			if !armed || request.Method != http.MethodGet {
				return nil
			}
			armed = false // before the background work reads it
			close(gate)
			for !strings.HasSuffix(r.State(overDeleted), "deleted") {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond) // until its answer has come
			return nil
		}}
		p := r.all(t, c, provider.WithClock(gated{r.clock, gate}))
		r.Inject(azureserver.Fault{Name: overDeleted, Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: 1})
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrUnavailable, "is being deleted again")
		r.clock.ahead.Add(int64(10 * time.Second)) // until the recovery has ended
		armed = true
		if read(p, name) || armed {
			t.Errorf("%s: a value recovered for a write can be read", what)
		}
	}
}

// If a put of the store failed for good after the recovery, it can be made again: it
// finds no credential whose metadata it would keep.
func TestLivePutOverDeletedThrottled(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	c := r.principal()
	c.Retry.MaxRetries = 1
	// As in practice, a retry comes before the deletion that it stops.
	s := r.storeOn(t, r.made(t, c, provider.WithClock(gated{r.clock, make(chan struct{})})))
	if _, err := s.Put(ctx, "gone", nebula.NewSecret([]byte("old")), nebula.PutOptions{Tags: map[string]string{"old": "tag"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(ctx, "gone", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(10 * time.Second))
	remove := r.Inject(azureserver.Fault{Name: overDeleted, Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: 1})
	_, err := s.Put(ctx, "gone", nebula.NewSecret([]byte("new")), nebula.PutOptions{})
	wants(t, err, nebula.ErrUnavailable, "429", "is being deleted again")
	_, err = s.Put(ctx, "gone", nebula.NewSecret([]byte("new")), nebula.PutOptions{IfAbsent: true})
	wants(t, err, nebula.ErrUnavailable, "429")
	remove()
	if _, err := s.Put(ctx, "gone", nebula.NewSecret([]byte("new")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, "gone")
	if err != nil || string(got.Secret.Reveal()) != "new" || len(got.Metadata.Tags) != 0 {
		t.Errorf("%v, tags %v", err, got.Metadata.Tags)
	}
}

// If the write fails and its outcome is unclear, the error has the kind, and both
// causes can be found.
func TestLiveOverDeletedCauses(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	c := r.principal()
	c.Retry.MaxRetries = 0
	r.Inject(azureserver.Fault{Operation: azureserver.SetSecret, Status: 500, After: 1})
	p := r.all(t, c)
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if !errors.Is(err, nebula.ErrUnavailable) || !errors.Is(err, provider.ErrUnclear) {
		t.Errorf("%v", err)
	}
	for _, cause := range causes(err) {
		if _, holdsToken := cause.(*azcore.ResponseError); holdsToken {
			t.Errorf("the error wraps the request, and so the token: %v", cause)
		}
	}
	r.wantsDeleted(t, p)
}
