package local

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// waits returns a waiting record, as gather makes it.
func (f folding) waits(ctx context.Context, id nebula.ID, value string) *pending {
	f.Helper()
	m := nebula.Metadata{CreatedAt: now(), LastModified: now()}
	e, err := nebula.SealRecord([32]byte{}, f.name(id), nebula.NewSecret([]byte(value)), m)
	if err != nil {
		f.Fatal(err)
	}
	return &pending{BatchItem: nebula.BatchItem{Name: f.name(id), Envelope: e}, ctx: ctx, done: make(chan struct{})}
}

// TestTurns: some records are stored one by one. The others wait until nobody stores,
// and then one caller stores them all.
func TestTurns(t *testing.T) {
	_, f := newInside(t)
	var g gatherer
	begins := func(wantAlone, wantFirst bool) *pending {
		t.Helper()
		p := f.waits(t.Context(), "id", "v")
		if alone, first := g.begin(p); alone != wantAlone || first != wantFirst {
			t.Errorf("alone: %v, first: %v; want %v, %v", alone, first, wantAlone, wantFirst)
		}
		return p
	}
	for range maxAlone {
		begins(true, false)
	}
	waiting := []*pending{begins(false, true), begins(false, false)}
	for range maxAlone {
		g.end()
	}
	waiting = append(waiting, begins(false, false))
	group := g.next()
	if len(group) != len(waiting) {
		t.Fatalf("the next group has %d of %d records", len(group), len(waiting))
	}
	for i, p := range waiting {
		if group[i] != p {
			t.Errorf("number %d is out of order", i)
		}
	}
	begins(false, false)
	if group := g.next(); len(group) != 1 {
		t.Errorf("the group that came in the meantime has %d", len(group))
	}
	if group := g.next(); group != nil {
		t.Errorf("another group of %d", len(group))
	}
	for range maxAlone {
		begins(true, false)
	}
	begins(false, true)
}

// TestGroupsHaveABound: a group has at most the bytes of a batch, and at least one
// record.
func TestGroupsHaveABound(t *testing.T) {
	_, f := newInside(t)
	var g gatherer
	g.grouping = true
	large := strings.Repeat("x", 60<<10)
	sum := 0
	for len(g.waiting) == 0 || sum <= nebula.MaxBatchBytes {
		p := f.waits(t.Context(), "id", large)
		sum += len(p.Envelope.Bytes())
		g.begin(p)
	}
	all := len(g.waiting)
	if group := g.next(); len(group) != min(all-1, atomicfile.MaxStaged()) {
		t.Errorf("a group of %d, of %d that are too many", len(group), all)
	}
	small := f.waits(t.Context(), "id", "v")
	huge := f.waits(t.Context(), "id", strings.Repeat("x", nebula.MaxBatchBytes))
	for _, test := range []struct {
		waiting []*pending
		groups  []int
	}{
		{[]*pending{huge}, []int{1}},
		{[]*pending{small, huge, small, small}, []int{1, 1, 2}},
		{slices.Repeat([]*pending{small}, atomicfile.MaxStaged()+1), []int{atomicfile.MaxStaged(), 1}},
	} {
		g := gatherer{grouping: true, waiting: test.waiting}
		for _, want := range append(test.groups, 0) {
			if group := g.next(); len(group) != want {
				t.Errorf("a group of %d, want %d of %d", len(group), want, test.groups)
			}
		}
	}
}

// TestEndsOfAGroup: a group waits for its lock until all of its callers have gone.
func TestEndsOfAGroup(t *testing.T) {
	_, f := newInside(t)
	one, goOne := context.WithCancel(t.Context())
	two, goTwo := context.WithCancel(t.Context())
	defer goTwo()
	ctx, done := whileAny([]*pending{f.waits(one, "one", "v"), f.waits(two, "two", "v")})
	defer done()
	goOne()
	select {
	case <-ctx.Done():
		t.Error("one has gone, and the group does not wait for the other")
	case <-time.After(20 * time.Millisecond):
	}
	goTwo()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("all have gone, and the group still waits")
	}
	batch := f.waits(t.Context(), "one", "v")
	batch.done = nil
	if ctx, _ := whileAny([]*pending{batch}); ctx != batch.ctx {
		t.Error("a batch does not keep its own context")
	}
}

// asked is a context that counts who waits for its end.
type asked struct {
	context.Context
	ends    chan struct{}
	waiting atomic.Int64
}

func (a *asked) Done() <-chan struct{} { return a.ends }

func (a *asked) AfterFunc(func()) func() bool {
	a.waiting.Add(1)
	return func() bool { a.waiting.Add(-1); return true }
}

// TestNothingWaitsOn: once a group has had its turn, nothing more waits for the end of its
// callers, which may come much later.
func TestNothingWaitsOn(t *testing.T) {
	d, f := newInside(t)
	caller := &asked{Context: t.Context(), ends: make(chan struct{})}
	p, other := f.waits(caller, "id", "v"), f.waits(caller, "other", "v")
	_, done := whileAny([]*pending{p, other})
	if n := caller.waiting.Load(); n != 2 {
		t.Errorf("%d wait for two callers", n)
	}
	done()
	d.tryGroup([]*pending{p, other})
	if n := caller.waiting.Load(); p.Err != nil || other.Err != nil || n != 0 {
		t.Errorf("%v, %v; %d wait", p.Err, other.Err, n)
	}
}

// TestCloseWaits: a provider is closed after all that it does in the background.
func TestCloseWaits(t *testing.T) {
	d, f := newInside(t)
	closed := make(chan error, 1)
	d.background.Add(1)
	go func() { closed <- f.Close() }()
	select {
	case err := <-closed:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	d.background.Done()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestCommitted: what is in its place is not discarded any more.
func TestCommitted(t *testing.T) {
	d, f := newInside(t)
	for _, id := range []nebula.ID{"id", "id"} { // a new one, and in place of the old one
		p := f.waits(t.Context(), id, "v")
		d.stage(f.base, []*pending{p})
		if err := d.commit(f.base, p); err != nil || p.isStaged() {
			t.Errorf("%v; its temporary file is kept: %v", err, p.isStaged())
		}
		if record, err := f.Retrieve(t.Context(), f.name(id)); err != nil || string(record.Envelope.Bytes()) != string(p.Envelope.Bytes()) {
			t.Errorf("it is not the one: %v", err)
		}
	}
}

// TestDecided: a decision stays, and a record that was given up is never stored.
func TestDecided(t *testing.T) {
	_, f := newInside(t)
	p := f.waits(t.Context(), "id", "v")
	for range 2 { // the second attempt of a record that was decided
		if !p.decide() {
			t.Error("a waiting record is not decided")
		}
	}
	if p.giveUp() {
		t.Error("a record that is decided is given up")
	}
	p = f.waits(t.Context(), "id", "v")
	if !p.giveUp() || p.decide() {
		t.Error("a record that was given up is decided")
	}
}

// TestOneThatWaits: a single waiting record is stored, and no turn is lost.
func TestOneThatWaits(t *testing.T) {
	d, f := newInside(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d.gatherer.alone = maxAlone
	p := f.waits(ctx, "id", "v")
	p.done = nil
	if version, err := d.gather(p); err != nil || version != versionOf(p.Envelope.Bytes()) {
		t.Fatalf("version %q, %v", version, err)
	}
	d.background.Wait()
	d.gatherer.alone = 0
	if _, err := f.store("id", "w"); err != nil || d.gatherer.alone != 0 || d.gatherer.grouping {
		t.Errorf("%v; it counts %d, grouping: %v", err, d.gatherer.alone, d.gatherer.grouping)
	}
}

// TestGivesUpInTime: a waiting caller gives up when its own context ends, even if
// others go on waiting. After the decision it waits for the outcome.
func TestGivesUpInTime(t *testing.T) {
	d, f := newInside(t)
	d.gatherer.grouping = true // somebody else will store
	outcome := func(p *pending) chan error {
		ended := make(chan error, 1)
		go func() {
			version, err := d.gather(p)
			if err == nil && version != "stored" {
				err = errors.New("another version")
			}
			ended <- err
		}()
		return ended
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := outcome(f.waits(ctx, "early", "v"))
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it gave up: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits for others")
	}
	if p := d.gatherer.next()[0]; p.decide() {
		t.Error("a record that was given up is stored")
	}

	ctx, cancel = context.WithCancel(t.Context())
	p := f.waits(ctx, "late", "v")
	p.decide()
	ended = outcome(p)
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait for the outcome: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	for d.gatherer.next() != nil {
	}
	p.Version = "stored"
	close(p.done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// endsLater is a context that ends after a number of checks.
type endsLater struct {
	context.Context
	times int
}

func (e *endsLater) Err() error {
	if e.times--; e.times < 0 {
		return context.Canceled
	}
	return nil
}

// TestNothingAfterTheCaller: if the caller of a record has gone, or goes during its
// turn, the record is not put in place. No temporary file is kept or removed twice.
func TestNothingAfterTheCaller(t *testing.T) {
	for what, c := range map[string]struct {
		asked   int // checks before the context ends
		givenUp bool
		stored  bool
	}{
		"has gone":          {0, false, false},
		"goes":              {1, true, false},
		"goes afterwards":   {1, false, true},
		"is there all time": {100, false, true},
	} {
		d, f := newInside(t)
		p := f.waits(&endsLater{t.Context(), c.asked}, "id", "v")
		if c.givenUp {
			p.giveUp()
		}
		staged, errs := f.base.StageAll([][]byte{p.Envelope.Bytes()})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		p.staged = staged[0]
		d.putInPlace(f.base, []*pending{p})
		if p.Err == nil != c.stored || p.staged != nil {
			t.Errorf("%s: %v, and its temporary file is kept: %v", what, p.Err, p.staged != nil)
		}
		if found, err := f.Exists(t.Context(), f.name("id")); found != c.stored || err != nil {
			t.Errorf("%s: it is there: %v, %v", what, found, err)
		}
	}
}
