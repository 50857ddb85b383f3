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
				v, err := p.Store(t.Context(), name, first, nebula.StoreOptions{})
				if err != nil {
					t.Fatal(err)
				}
				condition = nebula.IfVersion(v)
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

// If others wrote without a condition, the outcome is reported as unclear.
func TestOvertakenUnknown(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.BaseDelayMS, c.Retry.MaxRetries = 10, 1
	other := open(t, c)
	between := &overtaking{RoundTripper: http.DefaultTransport.(*http.Transport).Clone(), operation: "UpdateSecretVersionStage"}
	c.Transport = between
	p := open(t, c)
	name, first := record(t, "a", "first", nil)
	v, err := p.Store(t.Context(), name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	between.write = func() error {
		for range 3 {
			_, e := record(t, "a", "theirs", nil)
			if _, err := other.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
				return err
			}
		}
		return nil
	}
	s.Inject(awsserver.Fault{Operation: "UpdateSecretVersionStage", Times: 1, Cut: awsserver.CutAfter})
	_, mine := record(t, "a", "mine", nil)
	_, err = p.Store(t.Context(), name, mine, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: first})
	wants(t, err, nebula.ErrUnavailable, "cannot be told")
	if !provider.Transient(err) {
		t.Error("it may not be repeated")
	}
}
