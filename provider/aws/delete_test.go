package aws_test

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// A deletion whose answer was lost is repeated, and says that it deleted, also
// on a condition that the repetition finds no longer met.
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
				t.Errorf("it is there: %v, %v", found, err)
			}
			if cut == awsserver.CutAfter && conditional {
				if _, err := p.Delete(t.Context(), name, condition); !errors.Is(err, nebula.ErrConflict) {
					t.Errorf("again, on condition: %v", err)
				}
			}
		}
	}
}

// A purge whose answer was lost reports what it removed; another one finds
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
