package aws_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
)

// What AWS refuses of a write on condition of a version is a conflict if others came
// between. If nobody did, the error says what AWS said, or why it is not known.
func TestRefusedOnCondition(t *testing.T) {
	const lost = "is not the current one"
	refusal := func(operation, code string) func(*peer) {
		return func(o *peer) {
			o.s.Inject(awsserver.Fault{Operation: operation, Error: &awsserver.Error{Code: code, Message: "no"}})
		}
	}
	fault := func(f awsserver.Fault) func(*peer) { return func(o *peer) { o.s.Inject(f) } }
	unseen := awsserver.Fault{Operation: "DescribeSecret", Deny: true}
	busy := awsserver.Fault{Operation: "DescribeSecret", Error: awsserver.Throttled}
	const put, move = "PutSecretValue", "UpdateSecretVersionStage"
	for what, c := range map[string]struct {
		operation string
		comes     []func(*peer)
		kind      nebula.Kind
		says      string
		pause     bool // the error says how long to wait
		unclear   bool
	}{
		"deleted before the version":       {put, []func(*peer){(*peer).delete}, nebula.ErrConflict, lost, false, false},
		"purged before the version":        {put, []func(*peer){(*peer).purge}, nebula.ErrConflict, lost, false, false},
		"the version refused":              {put, []func(*peer){refusal(put, "InvalidRequestException")}, nebula.ErrConflict, "(InvalidRequestException)", false, false},
		"the version refused, overtaken":   {put, []func(*peer){(*peer).store, refusal(put, "InvalidRequestException")}, nebula.ErrConflict, lost, false, false},
		"the version refused, not told":    {put, []func(*peer){(*peer).delete, fault(unseen)}, nebula.ErrPermissionDenied, "DescribeSecret", false, false},
		"deleted before the move":          {move, []func(*peer){(*peer).delete}, nebula.ErrConflict, lost, true, false},
		"purged before the move":           {move, []func(*peer){(*peer).purge}, nebula.ErrConflict, lost, true, false},
		"overtaken before the move":        {move, []func(*peer){(*peer).store}, nebula.ErrConflict, lost, true, false},
		"overtaken, and a missing version": {move, []func(*peer){(*peer).store, refusal(move, "ResourceNotFoundException")}, nebula.ErrConflict, lost, true, false},
		"overtaken, and a wrong state":     {move, []func(*peer){(*peer).store, refusal(move, "InvalidRequestException")}, nebula.ErrConflict, lost, true, false},
		"overtaken, and a precondition":    {move, []func(*peer){(*peer).store, refusal(move, "PreconditionNotMetException")}, nebula.ErrConflict, lost, true, false},
		"overtaken, not told":              {move, []func(*peer){(*peer).store, fault(unseen)}, nebula.ErrPermissionDenied, "DescribeSecret", false, false},
		"overtaken, not told now":          {move, []func(*peer){(*peer).store, fault(busy)}, nebula.ErrUnavailable, "", false, true},
		"the move refused by its state":    {move, []func(*peer){refusal(move, "InvalidRequestException")}, nebula.ErrConflict, "(InvalidRequestException)", false, false},
		"the move refused by a value":      {move, []func(*peer){refusal(move, "InvalidParameterException")}, nebula.ErrInvalidConfig, "(InvalidParameterException)", false, false},
		"the move refused for later":       {move, []func(*peer){refusal(move, "PreconditionNotMetException")}, nebula.ErrConflict, "(PreconditionNotMetException)", false, false},
	} {
		t.Run(what, func(t *testing.T) {
			o, p, m := between(t)
			_, first := record(t, "a", "first", nil)
			v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			m.operation, m.do = c.operation, func() {
				for _, come := range c.comes {
					come(o)
				}
			}
			_, mine := record(t, "a", "mine", nil)
			_, err = p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first})
			wants(t, err, c.kind, c.says)
			if m.do != nil {
				t.Error("nothing came between")
			}
			var after *provider.RetryAfter
			if errors.As(err, &after) != c.pause {
				t.Errorf("it says how long to wait: %v", !c.pause)
			}
			if errors.Is(err, provider.ErrUnclear) != c.unclear {
				t.Errorf("it is unclear: %v", !c.unclear)
			}
		})
	}
}

// What cannot be seen is not taken for absent, nor for present.
func TestUnseenIfAbsent(t *testing.T) {
	o, p, _ := between(t)
	o.store()
	o.s.Inject(awsserver.Fault{Operation: "DescribeSecret", Deny: true})
	_, err := p.Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrPermissionDenied, "DescribeSecret")
}

// A version that AWS cannot have made is not the current one, and nothing is
// written to find that out.
func TestStrangeVersion(t *testing.T) {
	o, p, _ := between(t)
	o.store()
	o.s.ResetLog()
	_, err := p.Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{Precondition: nebula.IfVersion("7"), Previous: o.theirs})
	wants(t, err, nebula.ErrConflict, "is not the current one")
	if n := o.s.Count("PutSecretValue"); n != 0 {
		t.Errorf("%d versions were sent", n)
	}
}

// A move that arrives after all, while the write is repeated, is no conflict with
// itself. The tags are set, too, unless it was deleted or written over since.
func TestLateMove(t *testing.T) {
	twice := func(o *peer) {
		for range 2 {
			got, err := o.p.Retrieve(o.t.Context(), o.name)
			if err != nil {
				o.t.Error(err)
			}
			if _, err := o.p.Store(o.t.Context(), o.name, o.theirs, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version)}); err != nil {
				o.t.Error(err)
			}
		}
	}
	for what, c := range map[string]struct {
		since    func(*peer)
		by       string // whose tags it has then
		versions int
	}{
		"nothing":            {(*peer).nothing, "me", 2},
		"deleted":            {(*peer).delete, "", 2},
		"written over twice": {twice, "others", 4},
	} {
		t.Run(what, func(t *testing.T) {
			o, _, m := between(t)
			config := o.c
			config.Transport, config.Retry.BaseDelayMS = m, 10
			p := open(t, config)
			_, first := record(t, "a", "first", map[string]string{"by": "first"})
			v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			const move = "UpdateSecretVersionStage"
			o.s.Inject(awsserver.Fault{Operation: move, Times: 1, Cut: awsserver.CutBefore})
			m.operation, m.skip, m.do = move, 1, func() {
				if err := o.move(string(v), m.moveTo); err != nil {
					t.Error(err)
				}
				c.since(o)
			}
			_, mine := record(t, "a", "mine", map[string]string{"by": "me"})
			stored, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first})
			if err != nil || string(stored) != m.moveTo {
				t.Fatalf("version %q, moved to %q, %v", stored, m.moveTo, err)
			}
			if c.by != "" {
				lists(t, p, nebula.Filter{Tags: map[string]string{"by": c.by}}, "a")
			}
			if n := o.s.Versions(o.c.SecretPrefix + "a"); n != c.versions {
				t.Errorf("%d versions, want %d", n, c.versions)
			}
		})
	}
}

// A purge that comes before a repetition makes it a conflict, never not found.
func TestPurgedBeforeRepetition(t *testing.T) {
	o, _, m := between(t)
	c := o.c
	c.Transport, c.Retry.BaseDelayMS = m, 10
	p := open(t, c)
	_, first := record(t, "a", "first", nil)
	v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const move = "UpdateSecretVersionStage"
	o.s.Inject(awsserver.Fault{Operation: move, Times: 1, Cut: awsserver.CutBefore})
	m.operation, m.skip, m.do = move, 1, o.purge
	_, mine := record(t, "a", "mine", nil)
	_, err = p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first})
	wants(t, err, nebula.ErrConflict, "is not the current one")
	if m.do != nil {
		t.Error("nothing came between")
	}
}

// Where AWS finds no version whose stage another writer took, the write is made
// again as another version: also if it repeats one whose outcome was not known.
func TestStageTaken(t *testing.T) {
	const move = "UpdateSecretVersionStage"
	for _, repeated := range []bool{false, true} {
		o, _, m := between(t)
		o.s.SetDeprecatedStay(true)
		c := o.c
		c.Transport, c.Retry.BaseDelayMS = m, 10
		patient := open(t, c)
		c.Retry.MaxRetries = 0
		p := open(t, c)
		_, first := record(t, "a", "first", nil)
		v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		take := func() {
			o.put("00000000-0000-4000-8000-00000000000"+map[bool]string{false: "0", true: "1"}[repeated], "NEBULA_PENDING")
		}
		store := func(p nebula.Provider) error {
			_, mine := record(t, "a", "mine", nil)
			_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first})
			return err
		}
		m.operation = move
		if repeated {
			_, _ = patient.Exists(t.Context(), o.name) // so that the server was heard of
			o.s.Inject(awsserver.Fault{Operation: move, Times: 1, Cut: awsserver.CutBefore})
			m.skip = 1
		} else {
			m.do = take
			err := store(p)
			wants(t, err, nebula.ErrUnavailable, "another process is writing this credential", "try again")
			var after *provider.RetryAfter
			if !errors.As(err, &after) || after.Delay <= 0 {
				t.Errorf("it does not say how long to wait: %v", err)
			}
		}
		m.do = take
		if err := store(patient); err != nil {
			t.Errorf("repeated %v: %v", repeated, err)
		}
		if m.do != nil {
			t.Error("the stage was not taken")
		}
	}
}

// A write without a condition that was done, and written over before it was
// repeated, is a success, and the tags stay those of the last one. If one write
// came after it, a look shows it.
func TestOvertakenAnyway(t *testing.T) {
	for _, times := range []int{1, 2} {
		o, _, _ := between(t)
		o.store()
		_, last := record(t, "a", "last", map[string]string{"by": "last"})
		c := o.c
		after := &overtaking{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: "PutSecretValue"}
		c.Transport, c.Retry.BaseDelayMS = after, 10
		p := open(t, c)
		_, _ = p.Exists(t.Context(), o.name) // so that the server was heard of
		after.write = func() error {
			var failed error
			for range times {
				_, err := o.p.Store(t.Context(), o.name, last, nebula.StoreOptions{})
				failed = errors.Join(failed, err)
			}
			return failed
		}
		o.s.Inject(awsserver.Fault{Operation: "PutSecretValue", Times: 1, Cut: awsserver.CutAfter})
		_, mine := record(t, "a", "mine", map[string]string{"by": "me"})
		if _, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{}); err != nil {
			t.Errorf("overtaken %d times: %v", times, err)
		}
		if n := o.s.Count("PutSecretValue"); times == 1 && n != 2 {
			t.Errorf("%d versions were sent by both", n)
		}
		got, err := p.Retrieve(t.Context(), o.name)
		if err != nil || string(got.Envelope.Bytes()) != string(last.Bytes()) {
			t.Errorf("overtaken %d times: not the last write stands: %v", times, err)
		}
		lists(t, p, nebula.Filter{Tags: map[string]string{"by": "last"}}, "a")
	}
}
