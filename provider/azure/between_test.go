package azure_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// before calls a function once, before the first request that fits is sent.
func before(c *azure.Config, method, suffix string, call func()) {
	inner := c.Transport
	var once sync.Once
	c.Transport = roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == method && strings.HasSuffix(request.URL.Path, suffix) {
			once.Do(call)
		}
		return inner.RoundTrip(request)
	})
}

// Whatever others do to a deleted credential between the calls of a write over it,
// it is stored, unless the write is for where there is none.
func TestLiveOthersComeBetween(t *testing.T) {
	const look, recovers = "/deletedsecrets/" + overDeleted, "/recover"
	restore := func(t *testing.T, r *rig, name nebula.Name) error {
		return r.all(t, r.principal()).Restore(t.Context(), name)
	}
	begin := func(t *testing.T, r *rig, name nebula.Name) error {
		left := 1
		wants(t, r.all(t, r.principal(), provider.WithClock(impatient{r.clock, &left})).Restore(t.Context(), name), nebula.ErrTimeout)
		return nil
	}
	purge := func(t *testing.T, r *rig, name nebula.Name) error {
		return purged(t.Context(), r.all(t, r.principal()), name)
	}
	for what, c := range map[string]struct {
		method, suffix string // what comes between comes before it
		comes          func(*testing.T, *rig, nebula.Name) error
		condition      nebula.Precondition
		kind           nebula.Kind
		versions       int
	}{
		"restored before a look":           {http.MethodGet, look, restore, nebula.Precondition{}, "", 2},
		"restored before a look, absent":   {http.MethodGet, look, restore, nebula.IfAbsent(), nebula.ErrAlreadyExists, 1},
		"purged before a look":             {http.MethodGet, look, purge, nebula.IfAbsent(), "", 1},
		"restored before it is recovered":  {http.MethodPost, recovers, restore, nebula.Precondition{}, "", 2},
		"beginning to restore before that": {http.MethodPost, recovers, begin, nebula.Precondition{}, "", 2},
		"purged before it is recovered":    {http.MethodPost, recovers, purge, nebula.IfAbsent(), "", 1},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			name, e := r.gone(t)
			config, came := r.principal(), false
			before(&config, c.method, c.suffix, func() {
				came = true
				if err := c.comes(t, r, name); err != nil {
					t.Error(err)
				}
			})
			p := r.all(t, config)
			v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: c.condition})
			if !came {
				t.Error("nothing came between")
			}
			if c.kind == "" && err != nil || c.kind != "" && nebula.KindOf(err) != c.kind {
				t.Errorf("%v, want %q", err, c.kind)
			}
			if got, err := p.Retrieve(t.Context(), name); err != nil || c.kind == "" && (got.Version != v || string(got.Envelope.Bytes()) != string(e.Bytes())) {
				t.Errorf("version %q stands, told %q, %v", got.Version, v, err)
			}
			if history, err := p.History(t.Context(), name); err != nil || len(history) != c.versions {
				t.Errorf("%d versions, want %d; %v", len(history), c.versions, err)
			}
		})
	}
}

// A write for where there is none, repeated after it recovered a deleted credential,
// leaves alone what others stored since.
func TestLiveOverDeletedOvertakenIfAbsent(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	_, theirs := record(t, "gone", "theirs", nil)
	c := r.principal()
	after(&c, http.MethodPost, "/recover", func() {
		latest, err := r.Latest(overDeleted)
		if err != nil {
			t.Error(err)
		}
		latest.Value = string(theirs.Bytes())
		r.Add(latest)
	})
	r.Inject(azureserver.Fault{Operation: azureserver.SetSecret, Status: 429, Code: "Throttled", After: 1, Times: 1})
	p := r.all(t, c)
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrAlreadyExists)
	if got, err := p.Retrieve(t.Context(), name); err != nil || string(got.Envelope.Bytes()) != string(theirs.Bytes()) {
		t.Errorf("it was written over: %v", err)
	}
}

// While a write over a deleted credential waits, the old value is not there for
// readers.
func TestLiveOverDeletedUnread(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	r.SetDelays(azureserver.Delays{RecoverWrite: 2 * time.Second})
	c := r.principal()
	var p full
	after(&c, http.MethodPost, "/recover", func() {
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrNotFound)
		if found, err := p.Exists(t.Context(), name); err != nil || found {
			t.Errorf("it exists: %v, %v", found, err)
		}
	})
	p = r.all(t, c)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	wants(t, p.Restore(t.Context(), name), nebula.ErrConflict, "not deleted")
}

// A stranger's secret whose recovery ends between a look and the write is not
// written over.
func TestLiveStrangerRecoveredMeanwhile(t *testing.T) {
	r := newRig(t)
	r.Add(azureserver.Seed{Name: overDeleted, Value: "theirs"})
	r.deleteBehind(t, overDeleted)
	r.clock.ahead.Add(int64(10 * time.Second))
	c := r.principal()
	asked := false
	c.Transport = &recorder{inner: c.Transport, after: func(request *http.Request) error {
		switch {
		case strings.HasSuffix(request.URL.Path, "/recover"):
			asked = true
		case asked && request.Method == http.MethodGet:
			asked = false
			r.clock.ahead.Add(int64(10 * time.Second))
		}
		return nil
	}}
	name, e := record(t, "gone", "ours", nil)
	stop := func() {}
	for _, denied := range []bool{true, false} { // to look what it is
		kind, says := nebula.ErrCorrupted, "not a nebula record"
		if denied {
			kind, says = nebula.ErrPermissionDenied, "getSecret/action"
			refusal := azureserver.ForbiddenByRbac(azureserver.GetSecret)
			refusal.After, refusal.Times = 1, 1
			stop = r.Inject(refusal)
		}
		p := r.all(t, c)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, kind, says, "was deleted again")
		r.wantsDeleted(t, p)
		stop()
		r.clock.ahead.Add(int64(10 * time.Second))
	}
	if value, err := r.Value(overDeleted); err != nil || value != "theirs" {
		t.Errorf("it is %q, %v", value, err)
	}
}

// What may not be recovered stays deleted, and the error says what is missing.
func TestLiveOverDeletedNotRecovered(t *testing.T) {
	r := newRig(t)
	name, e := r.gone(t)
	r.Inject(azureserver.ForbiddenByRbac(azureserver.RecoverSecret))
	p := r.all(t, r.principal())
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "secrets/recover/action")
	wants(t, p.Restore(t.Context(), name), nebula.ErrPermissionDenied, "secrets/recover/action")
	r.wantsDeleted(t, p)
}

// A write that is repeated because it was not done keeps the tags of others.
func TestLiveRepeatedWriteKeepsTags(t *testing.T) {
	r := newRig(t)
	p := r.all(t, r.principal())
	name, e := record(t, "gone", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.addTags(t, overDeleted, map[string]string{"costcenter": "7"})
	if _, err := p.Retrieve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	r.Inject(azureserver.Fault{Operation: azureserver.SetSecret, CutBefore: true, Times: 1})
	_, next := record(t, "gone", "w", nil)
	if _, err := p.Store(t.Context(), name, next, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Retrieve(t.Context(), name); err != nil || string(got.Envelope.Bytes()) != string(next.Bytes()) {
		t.Errorf("it was not stored: %v", err)
	}
	if tags := r.tagged(t, overDeleted); tags["costcenter"] != "7" {
		t.Errorf("the tags are %v", tags)
	}
}

// hurried is a clock by which the caller's time ends in a long sleep.
type hurried struct{ *clock }

func (c hurried) Sleep(ctx context.Context, d time.Duration) error {
	if d >= 10*time.Second {
		return context.DeadlineExceeded
	}
	return c.clock.Sleep(ctx, d)
}

// A keyring that was not seen to be the current one is not reported as stored: the
// time has ended, it cannot be read, or it was deleted meanwhile.
func TestLiveKeyringUnconfirmed(t *testing.T) {
	source := newRig(t)
	_ = source.store(t)
	name := nebula.KeyringName()
	keyring, err := source.open(t, source.principal()).Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	store := func(r *rig, c provider.Clock) error {
		once := r.principal()
		once.Retry.MaxRetries = 0
		_, err := r.open(t, once, provider.WithClock(c)).Store(t.Context(), name, keyring.Envelope, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		return err
	}
	r := newRig(t)
	wants(t, store(r, hurried{r.clock}), nebula.ErrTimeout, "not yet seen to be the current one")
	r = newRig(t)
	r.Inject(azureserver.Fault{Operation: azureserver.GetSecret, Status: 429, Code: "Throttled", After: 1})
	wants(t, store(r, r.clock), nebula.ErrUnavailable, "429")
	r = newRig(t)
	meanwhile := func() { r.deleteBehind(t, "nebula-credentials---keyring") }
	wants(t, store(r, busy{r.clock, &meanwhile}), nebula.ErrConflict, "no longer the current one")
}
