package aws_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
)

// If answers are lost, it is unclear whether the write was done. It is repeated, and
// ends as one version and as a success.
func TestLostAnswers(t *testing.T) {
	environment(t)
	for _, cut := range []awsserver.Cut{awsserver.CutBefore, awsserver.CutAfter} {
		for _, operation := range []string{"CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "TagResource", "UntagResource", "RestoreSecret"} {
			for what, condition := range map[string]func(nebula.Version) nebula.Precondition{
				"anyway":                   func(nebula.Version) nebula.Precondition { return nebula.Precondition{} },
				"over":                     func(v nebula.Version) nebula.Precondition { return nebula.IfVersion(v) },
				"absent":                   func(nebula.Version) nebula.Precondition { return nebula.IfAbsent() },
				"after a deletion":         func(nebula.Version) nebula.Precondition { return nebula.Precondition{} },
				"absent, after a deletion": func(nebula.Version) nebula.Precondition { return nebula.IfAbsent() },
				"with previous":            func(nebula.Version) nebula.Precondition { return nebula.Precondition{} },
				"over, with previous":      func(v nebula.Version) nebula.Precondition { return nebula.IfVersion(v) },
			} {
				t.Run(fmt.Sprint(operation, "/", what, "/", cut), func(t *testing.T) { loseAnswers(t, operation, what, cut, condition) })
			}
		}
	}
}

func loseAnswers(t *testing.T, operation, what string, cut awsserver.Cut, condition func(nebula.Version) nebula.Precondition) {
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.BaseDelayMS = 10
	p := open(t, c)
	ctx := t.Context()
	name, first := record(t, "lost", "first", map[string]string{"old": "1"})
	before := 0
	var v nebula.Version
	if what != "absent" {
		var err error
		if v, err = p.Store(ctx, name, first, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		before = 1
	} else {
		_, _ = p.Exists(ctx, name) // so that the server has answered once
	}
	if what == "after a deletion" || what == "absent, after a deletion" {
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
	}
	o := nebula.StoreOptions{Precondition: condition(v)}
	if what == "with previous" || what == "over, with previous" {
		o.Previous = first
	}
	s.Inject(awsserver.Fault{Operation: operation, Times: 2, Cut: cut})
	_, e := record(t, "lost", "second", map[string]string{"new": "1"})
	stored, err := p.Store(ctx, name, e, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Retrieve(ctx, name)
	if err != nil || got.Version != stored || string(got.Envelope.Bytes()) != string(e.Bytes()) {
		t.Fatalf("version %q is current, reported was %q, %v", got.Version, stored, err)
	}
	if n := s.Versions("nebula/credentials/lost"); n != before+1 {
		t.Errorf("%d versions became %d", before, n)
	}
	// What was done is not sent again, where a look shows it.
	once := map[string]string{"absent": "CreateSecret", "anyway": "PutSecretValue", "with previous": "PutSecretValue"}[what]
	if n := s.Count(once); operation == once && cut == awsserver.CutAfter && n != 1 {
		t.Errorf("it was sent %d times", n)
	}
	listed := map[string]bool{}
	pager := p.List(ctx, nebula.Filter{Tags: map[string]string{"new": "1"}})
	page, err := pager.NextPage(ctx)
	for _, entry := range page {
		listed[string(entry.ID)] = len(entry.Metadata.Tags) == 1
	}
	if err != nil || !listed["lost"] {
		t.Errorf("it is not listed by its tags alone: %+v, %v", page, err)
	}
}

// If a write over a deleted credential fails for good, the credential stays deleted.
func TestFailureAfterRestoring(t *testing.T) {
	environment(t)
	for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
		s := newServer(t, awsserver.Options{})
		p := open(t, configFor(s))
		ctx := t.Context()
		name, first := record(t, "a", "first", nil)
		if _, err := p.Store(ctx, name, first, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
		stop := s.Inject(awsserver.Fault{Operation: "PutSecretValue", Deny: true})
		_, second := record(t, "a", "second", nil)
		_, err := p.Store(ctx, name, second, nebula.StoreOptions{Precondition: condition})
		wants(t, err, nebula.ErrPermissionDenied, "PutSecretValue")
		if found, err := p.Exists(ctx, name); err != nil || found {
			t.Errorf("the old value can be read: %v, %v", found, err)
		}
		stop()
		if _, err := p.Store(ctx, name, second, nebula.StoreOptions{Precondition: condition}); err != nil {
			t.Error(err)
		}
	}
}

// The same holds if the network fails for a while in the middle of it.
func TestOutageAfterRestoring(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.BaseDelayMS = 10
	p := open(t, c)
	ctx := t.Context()
	name, first := record(t, "a", "first", nil)
	if _, err := p.Store(ctx, name, first, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := remove(ctx, p, name); err != nil {
		t.Fatal(err)
	}
	// The write fails, and so does what would delete the secret again.
	s.Inject(awsserver.Fault{Operation: "PutSecretValue", Times: 1, Cut: awsserver.CutBefore})
	s.Inject(awsserver.Fault{Operation: "DescribeSecret", Skip: 1, Times: 1, Cut: awsserver.CutBefore})
	_, second := record(t, "a", "second", nil)
	v, err := p.Store(ctx, name, second, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Retrieve(ctx, name); err != nil || got.Version != v {
		t.Errorf("%v, %v", got.Version, err)
	}
}

// manualClock is time for the retries of many callers: it wakes those that sleep in
// order, once all sleep.
type manualClock struct {
	mu       sync.Mutex
	now      time.Time
	sleeping []*sleeper
	callers  int
	random   *rand.Rand
}

type sleeper struct {
	until time.Time
	wake  chan struct{}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) Random() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64()
}

func (c *manualClock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	s := &sleeper{until: c.now.Add(d), wake: make(chan struct{})}
	c.sleeping = append(c.sleeping, s)
	c.advance()
	c.mu.Unlock()
	<-s.wake
	return nil
}

// left says that a caller will not sleep again.
func (c *manualClock) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callers--
	c.advance()
}

// advance wakes the caller whose sleep ends first, if all sleep.
func (c *manualClock) advance() {
	if len(c.sleeping) < c.callers || len(c.sleeping) == 0 {
		return
	}
	slices.SortFunc(c.sleeping, func(a, b *sleeper) int { return a.until.Compare(b.until) })
	first := c.sleeping[0]
	c.sleeping = c.sleeping[1:]
	c.now = first.until
	close(first.wake)
}

// AWS throttles 50 callers for 10 seconds. Each makes the attempts of the policy and
// no more, they are spread out, and all recover.
func TestThrottled(t *testing.T) {
	environment(t)
	clock := &manualClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), random: rand.New(rand.NewPCG(1, 2))}
	s := newServer(t, awsserver.Options{Now: clock.Now})
	p := open(t, configFor(s), provider.WithClock(clock))
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{For: 10 * time.Second, Error: awsserver.Throttled})
	s.ResetLog()
	const callers, attempts = 50, 6
	begin := clock.now
	clock.callers = callers
	var group sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		group.Go(func() {
			defer clock.left()
			_, errs[i] = p.Retrieve(ctx, name)
		})
	}
	group.Wait()
	for _, err := range errs {
		wants(t, err, nebula.ErrUnavailable, "no more requests")
	}
	requests := s.Requests()
	if len(requests) != callers*attempts {
		t.Errorf("%d attempts, want %d", len(requests), callers*attempts)
	}
	times := make(map[time.Duration]int)
	for _, r := range requests {
		times[r.Time.Sub(begin)]++
	}
	delete(times, 0) // all begin at once
	for at, n := range times {
		if n > callers/5 {
			t.Errorf("%d attempts at the same moment, after %v", n, at)
		}
	}
	if len(times) < callers*(attempts-1)/2 {
		t.Errorf("the repetitions came at only %d moments", len(times))
	}
	if last := clock.Now().Sub(begin); last < 2325*time.Millisecond || last > 3875*time.Millisecond {
		t.Errorf("the last attempt came after %v", last)
	}

	// Callers that come a moment before the end get through by repeating.
	clock.mu.Lock()
	clock.now, clock.callers = begin.Add(9500*time.Millisecond), callers
	clock.mu.Unlock()
	s.ResetLog()
	for i := range callers {
		group.Go(func() {
			defer clock.left()
			_, errs[i] = p.Retrieve(ctx, name)
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Count(""); n > callers*attempts || n <= callers {
		t.Errorf("%d attempts", n)
	}
}

// overtaking writes over a secret after the answer to a call was lost, and before the
// call is repeated.
type overtaking struct {
	http.RoundTripper
	operation string
	write     func() error
}

func (o *overtaking) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.RoundTripper.RoundTrip(r)
	if err != nil && o.write != nil && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+o.operation) {
		write := o.write
		o.write = nil
		err = errors.Join(err, write())
	}
	return response, err
}

// If a write was done, and another one replaced it before the repetition, it does not
// conflict with itself. The tags are those of the last write.
func TestOvertaken(t *testing.T) {
	environment(t)
	for _, given := range []bool{false, true} {
		s := newServer(t, awsserver.Options{})
		c := configFor(s)
		c.Retry.BaseDelayMS = 10
		other := open(t, c)
		between := &overtaking{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: "UpdateSecretVersionStage"}
		c.Transport = between
		p := open(t, c)
		ctx := t.Context()
		name, first := record(t, "a", "first", map[string]string{"by": "first"})
		v, err := p.Store(ctx, name, first, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, second := record(t, "a", "second", map[string]string{"by": "second"})
		_, third := record(t, "a", "third", map[string]string{"by": "third"})
		between.write = func() error {
			_, err := other.Store(ctx, name, third, nebula.StoreOptions{})
			return err
		}
		o := nebula.StoreOptions{Precondition: nebula.IfVersion(v)}
		if given {
			o.Previous = first
		}
		s.Inject(awsserver.Fault{Operation: "UpdateSecretVersionStage", Times: 2, Cut: awsserver.CutAfter})
		if _, err := p.Store(ctx, name, second, o); err != nil {
			t.Errorf("previous given: %v: %v", given, err)
		}
		if between.write != nil {
			t.Error("no write came between")
		}
		got, err := p.Retrieve(ctx, name)
		if err != nil || string(got.Envelope.Bytes()) != string(third.Bytes()) {
			t.Errorf("the last write is not current: %v", err)
		}
		page, err := p.List(ctx, nebula.Filter{Tags: map[string]string{"by": "third"}}).NextPage(ctx)
		if err != nil || len(page) != 1 {
			t.Errorf("the tags are not those of the last write: %+v, %v", page, err)
		}
	}
}

// If AWS never allows a call on a live secret, as with replicas, the error comes
// after a few calls.
func TestLastingRefusals(t *testing.T) {
	environment(t)
	clock := &sleepClock{now: time.Now()}
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s), provider.WithClock(clock))
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	store := func(o nebula.StoreOptions) error { _, err := p.Store(ctx, name, e, o); return err }
	for what, refused := range map[string]struct {
		operation string
		act       func() error
		slept     time.Duration // 10 ms, and twice as long each time
	}{
		"store":                {"PutSecretValue", func() error { return store(nebula.StoreOptions{}) }, 310 * time.Millisecond},
		"store with previous":  {"PutSecretValue", func() error { return store(nebula.StoreOptions{Previous: e}) }, 630 * time.Millisecond},
		"store where there is": {"CreateSecret", func() error { return store(nebula.StoreOptions{Precondition: nebula.IfAbsent()}) }, 310 * time.Millisecond},
		"delete":               {"DeleteSecret", func() error { return remove(ctx, p, name) }, 0},
		"retrieve":             {"GetSecretValue", func() error { _, err := p.Retrieve(ctx, name); return err }, 0},
	} {
		stop := s.Inject(awsserver.Fault{Operation: refused.operation, Error: &awsserver.Error{Code: "InvalidRequestException", Message: "no"}})
		s.ResetLog()
		clock.slept = 0
		err := refused.act()
		stop()
		wants(t, err, nebula.ErrConflict, "InvalidRequestException")
		if n := s.Count(""); n > 20 {
			t.Errorf("%s: %d calls", what, n)
		}
		if clock.slept != refused.slept {
			t.Errorf("%s: it waited %v, want %v", what, clock.slept, refused.slept)
		}
	}
}
