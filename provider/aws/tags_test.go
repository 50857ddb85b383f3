package aws_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// If the step for tags is throttled, it is repeated, and the tags are right in the
// end: with and without a condition, whether or not the previous record is given.
func TestThrottledTags(t *testing.T) {
	environment(t)
	for _, operation := range []string{"TagResource", "UntagResource"} {
		for _, conditional := range []bool{false, true} {
			for _, given := range []bool{false, true} {
				s := newServer(t, awsserver.Options{})
				c := configFor(s)
				c.Retry.BaseDelayMS = 10
				p := open(t, c)
				name, dev := record(t, "a", "v", map[string]string{"env": "dev", "old": "1"})
				v, err := p.Store(t.Context(), name, dev, nebula.StoreOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var o nebula.StoreOptions
				if conditional {
					o.Precondition = nebula.IfVersion(v)
				}
				if given {
					o.Previous = dev
				}
				s.Inject(awsserver.Fault{Operation: operation, Times: 2, Error: awsserver.Throttled})
				_, prod := record(t, "a", "v", map[string]string{"env": "prod"})
				if _, err := p.Store(t.Context(), name, prod, o); err != nil {
					t.Errorf("%s, conditional %v, previous given %v: %v", operation, conditional, given, err)
				}
				if n := s.Versions(c.SecretPrefix + "a"); n != 2 {
					t.Errorf("%d versions", n)
				}
				lists(t, p, nebula.Filter{Tags: map[string]string{"env": "prod"}}, "a")
				lists(t, p, nebula.Filter{Tags: map[string]string{"env": "dev"}})
				lists(t, p, nebula.Filter{Tags: map[string]string{"old": "1"}})
			}
		}
	}
}

// If a write had its tags refused, or was killed before it wrote them, the next write
// sees that and mends the tags, in another process too.
func TestLeftTagsAreMended(t *testing.T) {
	for _, conditional := range []bool{true, false} {
		leftTagsAreMended(t, conditional)
	}
}

func leftTagsAreMended(t *testing.T, conditional bool) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.MaxRetries = 0
	p := open(t, c)
	name, dev := record(t, "a", "v", map[string]string{"env": "dev"})
	v, err := p.Store(t.Context(), name, dev, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stop := s.Inject(awsserver.Fault{Operation: "TagResource", Deny: true})
	_, prod := record(t, "a", "v", map[string]string{"env": "prod"})
	_, err = p.Store(t.Context(), name, prod, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: dev})
	wants(t, err, nebula.ErrPermissionDenied, "value was stored", "TagResource")
	stop()
	next := open(t, c)
	got, err := next.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	o := nebula.StoreOptions{Previous: got.Envelope}
	if conditional {
		o.Precondition = nebula.IfVersion(got.Version)
	}
	_, again := record(t, "a", "w", map[string]string{"env": "prod"})
	if _, err := next.Store(t.Context(), name, again, o); err != nil {
		t.Fatal(err)
	}
	lists(t, next, nebula.Filter{Tags: map[string]string{"env": "prod"}}, "a")
	lists(t, next, nebula.Filter{Tags: map[string]string{"env": "dev"}})
}

// If a move is throttled after the version was put, it is repeated with the same
// version.
func TestThrottledMove(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.BaseDelayMS = 10
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{Operation: "UpdateSecretVersionStage", Times: 3, Error: awsserver.Throttled})
	_, next := record(t, "a", "w", nil)
	if _, err := p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e}); err != nil {
		t.Fatal(err)
	}
	if n := s.Versions(c.SecretPrefix + "a"); n != 2 {
		t.Errorf("%d versions, want 2", n)
	}
}

// What a write over a deleted credential left without its tags is seen as well.
func TestLeftTagsOverDeleted(t *testing.T) {
	o, p, m := between(t)
	o.store()
	o.delete()
	m.operation, m.do = "PutSecretValue", func() { o.s.Inject(awsserver.Fault{Operation: "TagResource", Deny: true}) }
	_, mine := record(t, "a", "mine", map[string]string{"by": "me"})
	_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrPermissionDenied, "value was stored", "TagResource")
	o.s.ClearFaults()
	next := open(t, o.c)
	got, err := next.Retrieve(t.Context(), o.name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: got.Envelope}); err != nil {
		t.Fatal(err)
	}
	lists(t, next, nebula.Filter{Tags: map[string]string{"by": "me"}}, "a")
}

// One tag that changes is enough for all those to be set that others took away.
func TestChangedTagMendsOthers(t *testing.T) {
	o, p, _ := between(t)
	_, first := record(t, "a", "v", map[string]string{"env": "dev", "team": "x"})
	v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	untag(t, o.c, "a", "team")
	_, second := record(t, "a", "v", map[string]string{"env": "prod", "team": "x"})
	if _, err := p.Store(t.Context(), o.name, second, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first}); err != nil {
		t.Fatal(err)
	}
	if got := tagsOf(t, o.c, "a"); got["env"] != "prod" || got["team"] != "x" || got["nebula="] == "" {
		t.Errorf("the tags are %v", got)
	}
}

// A record that was stored by a repeated write, and written over, can be stored
// again: what is remembered of the first time is not taken for this one.
func TestSameRecordAgain(t *testing.T) {
	o, _, _ := between(t)
	o.store()
	c := o.c
	c.Retry.BaseDelayMS = 10
	p := open(t, c)
	_, mine := record(t, "a", "mine", nil)
	for _, operation := range []string{"PutSecretValue", "DescribeSecret"} {
		if _, err := p.Exists(t.Context(), o.name); err != nil { // so that the server was heard of
			t.Fatal(err)
		}
		o.s.Inject(awsserver.Fault{Operation: operation, Times: 1, Cut: awsserver.CutAfter})
		v, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Retrieve(t.Context(), o.name); err != nil || got.Version != v || string(got.Envelope.Bytes()) != string(mine.Bytes()) {
			t.Errorf("version %q stands, told %q, %v", got.Version, v, err)
		}
		o.store()
	}
}
