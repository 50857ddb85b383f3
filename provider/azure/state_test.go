package azure_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// all returns a connected provider with all its methods.
func (r *rig) all(t *testing.T, c azure.Config, options ...provider.Option) full {
	t.Helper()
	return r.open(t, c, options...).(full)
}

// Delete, store, delete, restore, purge and store in a row always have the documented
// result: each right after the one before, with the shortest, the usual and the
// longest delays that were recorded, and by another process each time.
func TestLiveStatesInARow(t *testing.T) {
	for what, delays := range map[string]azureserver.Delays{
		"short": {Delete: 2 * time.Second, Recover: 2 * time.Second, RecoverWrite: time.Second, Purge: time.Second},
		"usual": azureserver.DefaultDelays(),
		"long":  {Delete: 9 * time.Second, Recover: 10 * time.Second, RecoverWrite: 30 * time.Second, Purge: 10 * time.Second},
	} {
		for _, processes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, each its own process %v", what, processes), func(t *testing.T) {
				r := newRig(t)
				r.SetDelays(delays)
				p := r.all(t, r.principal())
				statesInARow(t, func() full {
					if processes {
						return r.all(t, r.principal())
					}
					return p
				})
			})
		}
	}
}

func statesInARow(t *testing.T, process func() full) {
	ctx := t.Context()
	name, first := record(t, "row", "first", nil)
	_, second := record(t, "row", "second", nil)
	_, third := record(t, "row", "third", nil)
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	holds := func(e *nebula.Envelope) {
		t.Helper()
		got, err := process().Retrieve(ctx, name)
		if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
			t.Fatalf("another record is there, or none: %v", err)
		}
	}
	gone := func() {
		t.Helper()
		_, err := process().Retrieve(ctx, name)
		wants(t, err, nebula.ErrNotFound)
	}
	store := func(e *nebula.Envelope) error {
		_, err := process().Store(ctx, name, e, nebula.StoreOptions{})
		return err
	}
	do("store", store(first))
	do("delete", removed(ctx, process(), name))
	gone()
	do("store over the deleted", store(second))
	holds(second)
	do("delete again", removed(ctx, process(), name))
	gone()
	do("restore", process().Restore(ctx, name))
	holds(second)
	do("purge", purged(ctx, process(), name))
	gone()
	do("store over the purged", store(third))
	holds(third)
	history, err := process().History(ctx, name)
	if err != nil || len(history) != 1 {
		t.Errorf("after a purge the history is %v, %v", history, err)
	}
	do("delete the last", removed(ctx, process(), name))
	do("purge the deleted", purged(ctx, process(), name))
	wants(t, process().Restore(ctx, name), nebula.ErrNotFound, "nothing to restore")
}

// Waiting ends with the deadline, and the error says what it waited for.
func TestLiveWaitingEnds(t *testing.T) {
	r := newRig(t)
	r.SetDelays(azureserver.Delays{Delete: time.Hour})
	p := r.all(t, r.principal())
	name, e := record(t, "slow", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := removed(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	impatient := r.all(t, r.principal(), provider.WithClock(ending{r.clock}))
	_, err := impatient.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrTimeout, "still deleting")
	_, err = r.all(t, r.principal(), provider.WithClock(cancelled{r.clock})).Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInterrupted, "cancelled while Key Vault is still deleting")
	began := r.clock.Now()
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrConflict, "10m0s")
	if waited := r.clock.Now().Sub(began); waited < 10*time.Minute || waited > 11*time.Minute {
		t.Errorf("it waited %v", waited)
	}
}

// ending is a clock whose deadline passes during a sleep.
type ending struct{ *clock }

func (ending) Sleep(context.Context, time.Duration) error { return context.DeadlineExceeded }

// cancelled is a clock by which the caller goes away while one sleeps.
type cancelled struct{ *clock }

func (cancelled) Sleep(context.Context, time.Duration) error { return context.Canceled }

// With purge protection a purge is refused, and does not delete either.
func TestLivePurgeProtection(t *testing.T) {
	r := newRig(t)
	p := r.all(t, r.principal())
	ctx := t.Context()
	name, e := record(t, "kept", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.SetPurgeProtection(true)
	wants(t, purged(ctx, p, name), nebula.ErrNotSupported, "purge protection")
	if found, err := p.Exists(ctx, name); err != nil || !found {
		t.Errorf("the refused purge deleted: %v, %v", found, err)
	}
	if err := removed(ctx, p, name); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(time.Minute))
	wants(t, purged(ctx, p, name), nebula.ErrNotSupported, "purge protection")
	if err := p.Restore(ctx, name); err != nil {
		t.Error(err)
	}
}

// A disabled secret exists and cannot be read. The error says that it is disabled,
// not that a permission is missing. It can be written over and deleted.
func TestLiveDisabled(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	name, e := record(t, "off", "v", nil)
	p := r.all(t, r.principal())
	disable := func() {
		t.Helper()
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		latest, err := r.Latest("nebula-credentials-off")
		if err != nil {
			t.Fatal(err)
		}
		latest.Disabled = true
		r.Add(latest)
	}
	disable()
	stranger := r.all(t, r.principal())
	_, err := stranger.Retrieve(ctx, name)
	wants(t, err, nebula.ErrConflict, "disabled", "--name nebula-credentials-off --enabled true")
	if found, err := stranger.Exists(ctx, name); err != nil || !found {
		t.Errorf("it exists: %v, %v", found, err)
	}
	_, err = stranger.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrAlreadyExists, "disabled")
	_, err = stranger.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfVersion("0123456789abcdef0123456789abcdef")})
	wants(t, err, nebula.ErrConflict, "disabled")
	if _, err := stranger.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Error(err)
	}
	disable()
	if err := removed(ctx, r.all(t, r.principal()), name); err != nil {
		t.Error(err)
	}
	if err := r.all(t, r.principal()).Restore(ctx, name); err != nil {
		t.Error(err)
	}
	if err := purged(ctx, r.all(t, r.principal()), name); err != nil {
		t.Error(err)
	}
}

// Key Vault shows the time at which rotation is due as the secret's expiry, and the
// credential can be read after it.
func TestLiveExpiry(t *testing.T) {
	r := newRig(t)
	p := r.all(t, r.principal())
	name, err := nebula.ID("old").Name()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")),
		nebula.Metadata{CreatedAt: at, LastModified: at, RotationPolicy: nebula.RotationPolicy{IntervalDays: 30}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	latest, err := r.Latest("nebula-credentials-old")
	if want := at.AddDate(0, 0, 30); err != nil || !latest.Expires.Equal(want) {
		t.Errorf("it expires at %v, want %v; %v", latest.Expires, want, err)
	}
	if _, err := p.Retrieve(t.Context(), name); err != nil {
		t.Error(err)
	}
	name, e = record(t, "kept", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if latest, err := r.Latest("nebula-credentials-kept"); err != nil || !latest.Expires.IsZero() {
		t.Errorf("what is never due expires at %v; %v", latest.Expires, err)
	}
}

// Secrets of others under our names stay as they are, live or deleted.
func TestLiveForeign(t *testing.T) {
	for what, seed := range map[string]azureserver.Seed{
		"without a tag":     {Name: "nebula-credentials-taken", Value: "theirs"},
		"of another id":     {Name: "nebula-credentials-taken", Value: "theirs", Tags: map[string]string{"nebula-": `{"id":"other"}`}},
		"with a broken tag": {Name: "nebula-credentials-taken", Value: "theirs", Tags: map[string]string{"nebula-": `{`}},
		"a certificate's":   {Name: "nebula-credentials-taken", Value: "theirs", Managed: true, Tags: map[string]string{"nebula-": `{"id":"taken"}`}},
		"disabled":          {Name: "nebula-credentials-taken", Value: "theirs", Disabled: true},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.Add(seed)
			ctx := t.Context()
			name, e := record(t, "taken", "ours", nil)
			fresh := func() full { return r.all(t, r.principal()) }
			kind := nebula.ErrCorrupted
			_, err := fresh().Retrieve(ctx, name)
			if seed.Disabled {
				wants(t, err, nebula.ErrConflict)
			} else {
				wants(t, err, kind, "not a nebula record", "nebula import")
				wants(t, err, nebula.ErrNotARecord)
				_, err = fresh().Exists(ctx, name)
				wants(t, err, kind, "not a nebula record")
			}
			for _, options := range []nebula.StoreOptions{{}, {Precondition: nebula.IfAbsent()}, {Precondition: nebula.IfVersion("v")}} {
				_, err = fresh().Store(ctx, name, e, options)
				wants(t, err, kind)
			}
			again := fresh()
			_, _ = again.Retrieve(ctx, name)
			_, err = again.Store(ctx, name, e, nebula.StoreOptions{})
			wants(t, err, kind)
			wants(t, removed(ctx, fresh(), name), kind)
			wants(t, purged(ctx, fresh(), name), kind, "not a nebula record")
			if !seed.Disabled {
				_, err = fresh().History(ctx, name)
				wants(t, err, kind, "not a nebula record")
			}
			wants(t, fresh().Restore(ctx, name), nebula.ErrConflict)
			if value, err := r.Value(seed.Name); err != nil || value != "theirs" || r.State(seed.Name) != "live" {
				t.Errorf("it is %q now, %s, %v", value, r.State(seed.Name), err)
			}
		})
	}
}

// A deleted secret of others is not recovered in order to write over it.
func TestLiveForeignDeleted(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	c := r.principal()
	c.SecretPrefix = "nebula-"
	other := r.all(t, c)
	theirName, theirs := record(t, "credentials-x", "theirs", nil) // nebula-credentials-2dx
	if _, err := other.Store(ctx, theirName, theirs, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	name, e := record(t, "2dx", "ours", nil)
	p := r.all(t, r.principal())
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrCorrupted)
	if err := removed(ctx, other, theirName); err != nil {
		t.Fatal(err)
	}
	_, err = p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrCorrupted)
	wants(t, p.Restore(ctx, name), nebula.ErrCorrupted)
	wants(t, purged(ctx, p, name), nebula.ErrCorrupted)
	if state := r.State("nebula-credentials-2dx"); state != "deleted" || r.Count(azureserver.RecoverSecret) != 0 {
		t.Errorf("it is %s, after %d recoveries", state, r.Count(azureserver.RecoverSecret))
	}
	if err := other.Restore(ctx, theirName); err != nil {
		t.Error(err)
	}
}

// Tags of the configuration are on every secret, and do not belong to a credential.
func TestLiveDefaultTags(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	c.DefaultTags = map[string]string{"env": "prod", "team": "platform"}
	p := r.all(t, c)
	ctx := t.Context()
	name, e := record(t, "tagged", "v", map[string]string{"team": "mine"})
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	latest, err := r.Latest("nebula-credentials-tagged")
	if err != nil || latest.Tags["env"] != "prod" || latest.Tags["team"] != "mine" {
		t.Errorf("the tags are %v, %v", latest.Tags, err)
	}
	pager := p.List(ctx, nebula.Filter{})
	defer pager.Close()
	entries, err := pager.NextPage(ctx)
	if err != nil || len(entries) != 1 || len(entries[0].Metadata.Tags) != 1 || entries[0].Metadata.Tags["team"] != "mine" {
		t.Errorf("the list is %+v, %v", entries, err)
	}
	many := make(map[string]string)
	for i := range 13 {
		many[fmt.Sprint("t", i)] = "x"
	}
	name, e = record(t, "many", "v", many)
	_, err = p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidMetadata, "16 tags would be needed", "Key Vault keeps 15")
}

// Some stores take these three ids for one.
func TestLiveAlike(t *testing.T) {
	r := newRig(t)
	p := r.all(t, r.principal())
	ctx := t.Context()
	for _, id := range []string{"github_token", "github-token", "GitHub-Token"} {
		name, e := record(t, id, id, nil)
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
			t.Fatal(err)
		}
	}
	var seen int
	for _, id := range []string{"github_token", "github-token", "GitHub-Token"} {
		name, _ := record(t, id, "", nil)
		if _, err := p.Retrieve(ctx, name); err != nil {
			t.Error(err)
		}
	}
	pager := p.List(ctx, nebula.Filter{})
	defer pager.Close()
	if entries, err := pager.NextPage(ctx); err == nil {
		seen = len(entries)
	}
	if seen != 3 {
		t.Errorf("%d are listed", seen)
	}
}
