package azure_test

import (
	"context"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
)

// A restoration that was given up is waited for before what was restored is deleted:
// once if it has ended, and not at all if that cannot be found out.
func TestLiveDeleteAfterUnfinishedRestore(t *testing.T) {
	const look, lookDeleted = "GET /secrets/" + overDeleted + "/", "GET /deletedsecrets/" + overDeleted
	for what, c := range map[string]struct {
		ahead  time.Duration
		denied azureserver.Operation
		calls  []string
	}{
		"under way":        {0, "", []string{look, lookDeleted, look, lookDeleted, look, lookDeleted, look, look, "DELETE /secrets/" + overDeleted}},
		"ended":            {10 * time.Second, "", []string{look, look, "DELETE /secrets/" + overDeleted}},
		"not to be read":   {0, azureserver.GetSecret, []string{look}},
		"not to be looked": {0, azureserver.GetDeletedSecret, []string{look, lookDeleted}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			name, _ := r.gone(t)
			config, wire := r.recorded()
			left := 1
			p := r.all(t, config, provider.WithClock(impatient{r.clock, &left}))
			wants(t, p.Restore(t.Context(), name), nebula.ErrTimeout)
			r.clock.ahead.Add(int64(c.ahead))
			if c.denied != "" {
				r.Inject(azureserver.ForbiddenByRbac(c.denied))
			}
			wire.since()
			existed, err := p.Delete(t.Context(), name, nebula.Precondition{})
			if c.denied != "" {
				wants(t, err, nebula.ErrPermissionDenied)
				err = nil
			}
			if existed != (c.denied == "") {
				t.Errorf("existed %v", existed)
			}
			counted(t, wire)("delete", err, c.calls...)
		})
	}
}

// A deletion that others come before finds nothing, also of a credential that was
// read a moment ago.
func TestLiveOthersDeleteFirst(t *testing.T) {
	r := newRig(t)
	name, e := record(t, "gone", "v", nil)
	p := r.all(t, r.principal())
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.deleteBehind(t, overDeleted)
	if existed, err := p.Delete(t.Context(), name, nebula.Precondition{}); err != nil || existed {
		t.Errorf("existed %v, %v", existed, err)
	}
}

// A record without tags is deleted only if the keyring shows whose it is.
func TestLiveDeleteWithoutKeyring(t *testing.T) {
	const keyring = "nebula-credentials---keyring"
	for what, denied := range map[string]bool{"none": false, "not to be read": true} {
		r := newRig(t)
		name, e := record(t, "gone", "v", nil)
		if _, err := r.all(t, r.principal()).Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		r.retag(t, overDeleted, nil)
		kind := nebula.ErrCorrupted
		if denied {
			kind = nebula.ErrPermissionDenied
			refusal := azureserver.ForbiddenByRbac(azureserver.GetSecret)
			refusal.Name = keyring
			r.Inject(refusal)
		}
		wants(t, removed(t.Context(), r.all(t, r.principal()), name), kind)
		if state := r.State(overDeleted); state != "live" {
			t.Errorf("%s: it is %s", what, state)
		}
	}
}

// What was deleted or purged is no longer known, neither as what is written over nor
// as ours.
func TestLiveDeletedIsForgotten(t *testing.T) {
	deletedIsForgotten(t, deletes)
	deletedIsForgotten(t, purges)
}

func deletedIsForgotten(t *testing.T, remove func(context.Context, full, nebula.Name, *nebula.Envelope) error) {
	t.Helper()
	r := newRig(t)
	name, e := record(t, "gone", "v", nil)
	p := r.all(t, r.principal())
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := remove(t.Context(), p, name, e); err != nil {
		t.Fatal(err)
	}
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e})
	wants(t, err, nebula.ErrConflict)
	r.Add(azureserver.Seed{Name: overDeleted, Value: "theirs"})
	wants(t, removed(t.Context(), p, name), nebula.ErrCorrupted, "not a nebula record")
}

// What is not allowed is told, and nothing changes.
func TestLiveRefusals(t *testing.T) {
	for _, c := range []struct {
		denied azureserver.Operation
		call   func(context.Context, full, nebula.Name, *nebula.Envelope) error
	}{
		{azureserver.GetSecret, stores}, {azureserver.SetSecret, stores}, {azureserver.GetSecret, deletes}, {azureserver.DeleteSecret, deletes},
	} {
		r := newRig(t)
		name, e := record(t, "gone", "v", nil)
		stored(t, r.all(t, r.principal()), name, e)
		before, err := r.Latest(overDeleted)
		if err != nil {
			t.Fatal(err)
		}
		r.Inject(azureserver.ForbiddenByRbac(c.denied))
		_, next := record(t, "gone", "w", nil)
		wants(t, c.call(t.Context(), r.all(t, r.principal()), name, next), nebula.ErrPermissionDenied)
		if after, err := r.Latest(overDeleted); err != nil || after.Value != before.Value || r.State(overDeleted) != "live" {
			t.Errorf("it changed, and is %s: %v", r.State(overDeleted), err)
		}
	}
}
