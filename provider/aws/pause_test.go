package aws_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
)

// at sets the time.
func (c *sleepClock) at(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Writers that lost wait four writes for each rival that comes before them: those
// of the last ten writes that did not win, in the order of their versions. Who lost
// before takes any place. If the rivals are not shown, there are four.
func TestPauses(t *testing.T) {
	const took = 10 * time.Millisecond
	now := time.Now().Truncate(time.Second)
	clock := &sleepClock{now: now}
	o, _, m := betweenOn(t, awsserver.Options{Now: clock.Now}, clock)
	c := o.c
	c.Transport, c.Retry.MaxRetries = m, 0
	m.operation = "UpdateSecretVersionStage"
	// lose is a write that takes so long, beside rivals, and returns how long it
	// should wait.
	lose := func(p full, took time.Duration, before, beside func()) time.Duration {
		t.Helper()
		o.store()
		got, err := o.p.Retrieve(t.Context(), o.name)
		if err != nil {
			t.Fatal(err)
		}
		o.store()
		now = now.Add(20 * time.Second) // what was before is long ago
		before()
		clock.at(now)
		m.do = func() {
			beside()
			clock.at(now.Add(took))
		}
		_, mine := record(t, "a", "mine", nil)
		_, err = p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: got.Envelope})
		var after *provider.RetryAfter
		if !errors.As(err, &after) || nebula.KindOf(err) != nebula.ErrConflict {
			t.Fatal(err)
		}
		return after.Delay
	}
	rivals := 0
	rival := func(first string, distance time.Duration) {
		clock.at(now.Add(distance))
		rivals++
		o.put(fmt.Sprintf("%s-0000-4000-8000-%012d", first, rivals), "RIVAL")
		clock.at(now)
	}
	nobody := func() {}
	waits := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: it should wait %v, want %v", what, got, want)
		}
	}
	p := open(t, c, provider.WithClock(clock))
	waits("three before and three after", lose(p, took, func() {
		rival("11111111", -11*took)
		rival("22222222", -10*took)
		rival("33333333", -9*took)
	}, func() {
		rival("00000000", 0)
		rival("ffffffff", 0)
		rival("00000000", 9*took)
		rival("00000000", 10*took)
		rival("66666666", 11*took)
	}), 4*took*7/2)
	waits("again, with nobody to be seen", lose(p, took, nobody, nobody), 4*took*4)
	waits("again, a slow one", lose(p, time.Second, nobody, nobody), 10*time.Second)
	p = open(t, c, provider.WithClock(clock))
	waits("alone", lose(p, took, nobody, nobody), 4*took/2)
	waits("alone again", lose(p, took, nobody, nobody), 4*took)
	p = open(t, c, provider.WithClock(clock))
	gone := func() { o.purge(); o.store() }
	waits("not shown", lose(p, took, nobody, gone), 4*took*5/2)
	waits("not shown again", lose(p, took, nobody, gone), 4*took*3)
	stop := o.s.Inject(awsserver.Fault{Operation: "ListSecretVersionIds", Deny: true})
	defer stop()
	waits("not allowed to see", lose(open(t, c, provider.WithClock(clock)), took, nobody, nobody), 4*took*5/2)
}
