package aws_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// A deletion whose answer was lost is repeated, and reports that it deleted. It does
// so even if the repetition no longer meets its condition.
func TestLostDeletions(t *testing.T) {
	environment(t)
	for _, cut := range []awsserver.Cut{awsserver.CutBefore, awsserver.CutAfter} {
		for _, conditional := range []bool{false, true} {
			s := newServer(t, awsserver.Options{})
			c := configFor(s)
			c.Retry.BaseDelayMS = 10
			p := open(t, c)
			name, e := record(t, "a", "v", nil)
			version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var condition nebula.Precondition
			if conditional {
				condition = nebula.IfVersion(version)
			}
			s.Inject(awsserver.Fault{Operation: "DeleteSecret", Times: 1, Cut: cut})
			if existed, err := p.Delete(t.Context(), name, condition); err != nil || !existed {
				t.Errorf("cut %v, conditional %v: existed %v, %v", cut, conditional, existed, err)
			}
			if found, err := p.Exists(t.Context(), name); err != nil || found {
				t.Errorf("it still exists: %v, %v", found, err)
			}
			if cut == awsserver.CutAfter && conditional {
				if _, err := p.Delete(t.Context(), name, condition); !errors.Is(err, nebula.ErrConflict) {
					t.Errorf("again, on condition: %v", err)
				}
			}
		}
	}
}

// A purge whose answer was lost reports what it removed. A second purge finds
// nothing.
func TestLostPurge(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.BaseDelayMS = 10
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{Operation: "DeleteSecret", Times: 1, Cut: awsserver.CutAfter})
	for _, want := range []bool{true, false} {
		if existed, err := p.Purge(t.Context(), name); err != nil || existed != want {
			t.Errorf("existed %v, %v, want %v", existed, err, want)
		}
	}
}

// A deletion that others come before is none of ours: there is nothing, which is a
// conflict with a condition. What AWS refuses for a moment is tried again.
func TestOthersDeleteFirst(t *testing.T) {
	for what, c := range map[string]struct {
		comes   func(*peer)
		existed bool
	}{
		"deleted": {(*peer).delete, false},
		"purged":  {(*peer).purge, false},
		"refused once": {func(o *peer) {
			o.s.Inject(awsserver.Fault{Operation: "DeleteSecret", Times: 1, Error: &awsserver.Error{Code: "InvalidRequestException", Message: "no"}})
		}, true},
	} {
		for _, conditional := range []bool{false, true} {
			o, p, m := between(t)
			version, err := p.Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var condition nebula.Precondition
			if conditional {
				condition = nebula.IfVersion(version)
			}
			m.operation, m.do = "DeleteSecret", func() { c.comes(o) }
			existed, err := p.Delete(t.Context(), o.name, condition)
			if existed != c.existed || conditional && !c.existed != errors.Is(err, nebula.ErrConflict) || !conditional && err != nil {
				t.Errorf("%s, conditional %v: existed %v, %v", what, conditional, existed, err)
			}
			if found, err := o.p.Exists(t.Context(), o.name); err != nil || found {
				t.Errorf("%s: it exists: %v, %v", what, found, err)
			}
		}
	}
}

// A deleted secret that never had a value is written over like any other, without a
// version to replace.
func TestOverASecretWithoutValue(t *testing.T) {
	for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
		o, p, _ := between(t)
		o.store()
		id := o.c.SecretPrefix + "a"
		described, err := directClient(o.c).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
		if err != nil {
			t.Fatal(err)
		}
		o.purge()
		if _, err := directClient(o.c).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &id, Tags: described.Tags}); err != nil {
			t.Fatal(err)
		}
		o.delete()
		v, err := p.Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{Precondition: condition})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Retrieve(t.Context(), o.name); err != nil || got.Version != v {
			t.Errorf("version %q stands, told %q, %v", got.Version, v, err)
		}
		if n := o.s.Count("UpdateSecretVersionStage"); n != 0 {
			t.Errorf("a stage was moved")
		}
	}
}

// A restoration whose answer was lost is repeated, and a success. What others purge
// first, or is not there, cannot be restored, and what cannot be seen or read is not
// said to be.
func TestLostRestoration(t *testing.T) {
	for _, cut := range []awsserver.Cut{awsserver.CutBefore, awsserver.CutAfter} {
		o, _, _ := between(t)
		o.store()
		o.delete()
		o.s.Inject(awsserver.Fault{Operation: "RestoreSecret", Times: 1, Cut: cut})
		o.restore()
		if found, err := o.p.Exists(t.Context(), o.name); err != nil || !found {
			t.Errorf("cut %v: it exists: %v, %v", cut, found, err)
		}
	}
	o, p, m := between(t)
	o.store()
	o.delete()
	m.operation, m.do = "RestoreSecret", o.purge
	for range 2 {
		wants(t, p.Restore(t.Context(), o.name), nebula.ErrNotFound, "nothing to restore")
	}
	o.store()
	untag(t, o.c, "a", "by")
	stop := o.s.Inject(awsserver.Fault{Operation: "DescribeSecret", Deny: true})
	wants(t, p.Restore(t.Context(), o.name), nebula.ErrPermissionDenied, "DescribeSecret")
	stop()
	o.delete()
	o.s.Inject(awsserver.Fault{Operation: "GetSecretValue", Deny: true})
	wants(t, p.Restore(t.Context(), o.name), nebula.ErrPermissionDenied, "GetSecretValue")
}

// What cannot be seen is not purged, and not said to be gone.
func TestPurgeUnseen(t *testing.T) {
	for seen := range 2 {
		o, p, _ := between(t)
		o.store()
		o.s.Inject(awsserver.Fault{Operation: "DescribeSecret", Skip: seen, Deny: true})
		wants(t, purge(t.Context(), p, o.name), nebula.ErrPermissionDenied, "DescribeSecret")
		if n := o.s.Count("DeleteSecret"); n != seen {
			t.Errorf("%d deletions, want %d", n, seen)
		}
	}
}
