package aws_test

import (
	"net/http"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
)

// If a write was done and its answer was lost, it is a success, however many writes
// came after it. If it was not done, it is a conflict.
func TestOvertakenTwice(t *testing.T) {
	environment(t)
	for _, cut := range []awsserver.Cut{awsserver.CutAfter, awsserver.CutBefore} {
		for _, absent := range []bool{false, true} {
			s := newServer(t, awsserver.Options{})
			c := configFor(s)
			c.Retry.BaseDelayMS = 10
			other := open(t, c)
			operation := map[bool]string{false: "UpdateSecretVersionStage", true: "CreateSecret"}[absent]
			between := &overtaking{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: operation}
			c.Transport = between
			p := open(t, c)
			name, first := record(t, "a", "first", nil)
			condition := nebula.IfAbsent()
			if absent {
				_, _ = p.Exists(t.Context(), name) // so that the server has answered once
			} else {
				for range 2 { // so that nothing links to what was before
					v, err := p.Store(t.Context(), name, first, nebula.StoreOptions{})
					if err != nil {
						t.Fatal(err)
					}
					condition = nebula.IfVersion(v)
				}
			}
			between.write = func() error {
				for _, value := range []string{"second", "third", "fourth"} {
					var o nebula.StoreOptions
					got, err := other.Retrieve(t.Context(), name)
					if err == nil {
						o = nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: got.Envelope}
					}
					_, e := record(t, "a", value, nil)
					if _, err := other.Store(t.Context(), name, e, o); err != nil {
						return err
					}
				}
				return nil
			}
			s.Inject(awsserver.Fault{Operation: operation, Times: 1, Cut: cut})
			_, mine := record(t, "a", "mine", nil)
			v, err := p.Store(t.Context(), name, mine, nebula.StoreOptions{Precondition: condition, Previous: first})
			if between.write != nil {
				t.Error("no write came between")
			}
			if cut == awsserver.CutBefore {
				wants(t, err, map[bool]nebula.Kind{false: nebula.ErrConflict, true: nebula.ErrAlreadyExists}[absent])
				continue
			}
			if err != nil {
				t.Errorf("absent %v: %v", absent, err)
				continue
			}
			got, err := p.RetrieveVersion(t.Context(), name, v)
			if err != nil || string(got.Envelope.Bytes()) != string(mine.Bytes()) {
				t.Errorf("the reported version is not the one stored: %v", err)
			}
		}
	}
}

// What a repetition says if others came after the first attempt, by whether that
// attempt was done, what others wrote, and what can be seen of it.
func TestOvertakenOtherwise(t *testing.T) {
	const put, move, create = "PutSecretValue", "UpdateSecretVersionStage", "CreateSecret"
	thrice := func(o *peer, _ []nebula.Version) {
		for range 3 {
			o.store()
		}
	}
	back := func(o *peer, versions []nebula.Version) {
		if err := o.move(string(versions[1]), string(versions[0])); err != nil {
			o.t.Error(err)
		}
	}
	unseen := func(o *peer, versions []nebula.Version) {
		thrice(o, versions)
		o.s.Inject(awsserver.Fault{Operation: "ListSecretVersionIds", Deny: true})
	}
	for what, c := range map[string]struct {
		lost   string // the call whose answer is lost
		cut    awsserver.Cut
		absent bool
		since  func(*peer, []nebula.Version)
		kind   nebula.Kind
		says   string
	}{
		"done, and others wrote without a condition":       {move, awsserver.CutAfter, false, thrice, nebula.ErrUnavailable, "cannot be told"},
		"created, and others wrote without a condition":    {create, awsserver.CutAfter, true, thrice, nebula.ErrUnavailable, "cannot be told"},
		"never sent, and others wrote without a condition": {put, awsserver.CutBefore, false, thrice, nebula.ErrConflict, ""},
		"not done, and others went back to the first":      {move, awsserver.CutBefore, false, back, nebula.ErrConflict, ""},
		"not to be seen": {move, awsserver.CutAfter, false, unseen, nebula.ErrPermissionDenied, "ListSecretVersionIds"},
	} {
		t.Run(what, func(t *testing.T) {
			o, _, _ := between(t)
			cfg := o.c
			cfg.Retry.BaseDelayMS, cfg.Retry.MaxRetries = 10, 1
			after := &overtaking{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: c.lost}
			cfg.Transport = after
			p := open(t, cfg)
			_, _ = p.Exists(t.Context(), o.name) // so that the server was heard of
			_, first := record(t, "a", "first", nil)
			condition := nebula.IfAbsent()
			var versions []nebula.Version
			for range map[bool]int{false: 2, true: 0}[c.absent] {
				v, err := p.Store(t.Context(), o.name, first, nebula.StoreOptions{Precondition: condition, Previous: first})
				if err != nil {
					t.Fatal(err)
				}
				versions, condition = append(versions, v), nebula.IfVersion(v)
			}
			after.write = func() error { c.since(o, versions); return nil }
			o.s.Inject(awsserver.Fault{Operation: c.lost, Times: 1, Cut: c.cut})
			_, mine := record(t, "a", "mine", nil)
			_, err := p.Store(t.Context(), o.name, mine, nebula.StoreOptions{Precondition: condition, Previous: first})
			wants(t, err, c.kind, c.says)
			if after.write != nil {
				t.Error("nothing came between")
			}
			if provider.Transient(err) != (c.kind == nebula.ErrUnavailable) {
				t.Errorf("it may be repeated: %v", provider.Transient(err))
			}
		})
	}
}
