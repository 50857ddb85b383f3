package azure_test

import (
	"context"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
)

// A purge says that there was a credential if it saw one, whoever purged it, and
// waits for a deletion that Key Vault does not show yet.
func TestLivePurgeOfWhatIsUnseen(t *testing.T) {
	unseen := func(op azureserver.Operation, times int) azureserver.Fault {
		return azureserver.Fault{Operation: op, Status: 404, Code: "SecretNotFound", Times: times}
	}
	for what, c := range map[string]struct {
		deleted bool // before the purge
		fault   azureserver.Fault
		waits   time.Duration
		state   string
	}{
		"a deletion that is shown late":    {false, unseen(azureserver.PurgeSecret, 2), 2 * time.Second, "being purged"},
		"a deletion that others purged":    {false, unseen(azureserver.PurgeSecret, 0), 10 * time.Second, "deleted"},
		"deleted before, and shown late":   {true, unseen(azureserver.GetDeletedSecret, 1), 0, "being purged"},
		"deleted before, purged by others": {true, unseen(azureserver.PurgeSecret, 0), 0, "deleted"},
	} {
		r := newRig(t)
		name, e := record(t, "gone", "v", nil)
		p := r.all(t, r.principal())
		stored(t, p, name, e)
		if c.deleted {
			if err := removed(t.Context(), p, name); err != nil {
				t.Fatal(err)
			}
			r.clock.ahead.Add(int64(10 * time.Second))
		}
		r.Inject(c.fault)
		began := r.clock.Now()
		if existed, err := p.Purge(t.Context(), name); err != nil || !existed {
			t.Errorf("%s: existed %v, %v", what, existed, err)
		}
		if waited := r.clock.Now().Sub(began); waited < c.waits || waited > c.waits+5*time.Second {
			t.Errorf("%s: it waited %v, want %v", what, waited, c.waits)
		}
		if state := r.State(overDeleted); state != c.state {
			t.Errorf("%s: it is %s, want %s", what, state, c.state)
		}
	}
}

// What a purge or a restoration is not allowed is told, and nothing changes.
func TestLiveRefusedPurgeAndRestore(t *testing.T) {
	for _, c := range []struct {
		denied azureserver.Operation
		begin  func(*testing.T, full, nebula.Name, *nebula.Envelope)
		call   func(context.Context, full, nebula.Name, *nebula.Envelope) error
	}{
		{azureserver.GetSecret, stored, purges},
		{azureserver.DeleteSecret, stored, purges},
		{azureserver.GetDeletedSecret, storedAndDeleted, purges},
		{azureserver.PurgeSecret, storedAndDeleted, purges},
		{azureserver.GetSecret, stored, restores},
		{azureserver.GetDeletedSecret, storedAndDeleted, restores},
		{azureserver.RecoverSecret, storedAndDeleted, restores},
	} {
		r := newRig(t)
		name, e := record(t, "gone", "v", nil)
		c.begin(t, r.all(t, r.principal()), name, e)
		r.clock.ahead.Add(int64(10 * time.Second))
		before := r.State(overDeleted)
		r.Inject(azureserver.ForbiddenByRbac(c.denied))
		wants(t, c.call(t.Context(), r.all(t, r.principal()), name, e), nebula.ErrPermissionDenied)
		if after := r.State(overDeleted); after != before {
			t.Errorf("without %s it was %s, and is %s", c.denied, before, after)
		}
	}
}

// What was restored is there for a write where there is none, also if it was seen to
// be gone a moment before. A restoration that was given up can be made again.
func TestLiveRestored(t *testing.T) {
	r := newRig(t)
	r.SetDelays(azureserver.Delays{})
	name, e := record(t, "gone", "v", nil)
	p := r.all(t, r.principal())
	storedAndDeleted(t, p, name, e)
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrNotFound)
	if err := p.Restore(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrAlreadyExists)
	r.SetDelays(azureserver.DefaultDelays())
	if err := removed(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	r.clock.ahead.Add(int64(10 * time.Second))
	left := 1
	p = r.all(t, r.principal(), provider.WithClock(impatient{r.clock, &left}))
	wants(t, p.Restore(t.Context(), name), nebula.ErrTimeout)
	r.clock.ahead.Add(int64(10 * time.Second))
	if err := p.Restore(t.Context(), name); err != nil {
		t.Error(err)
	}
}
