package aws_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
)

// Who waits for a turn waits no longer than the caller does.
func TestWaitForTurnEnds(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	g := newGate("PutSecretValue")
	c.Transport = g
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.armed.Store(true)
	_, next := record(t, "a", "w", nil)
	options := nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e}
	first := make(chan error)
	go func() { _, err := p.Store(t.Context(), name, next, options); first <- err }()
	for !g.waiting.Load() {
		time.Sleep(time.Millisecond)
	}
	ended, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.Store(ended, name, next, options)
	wants(t, err, nebula.ErrTimeout)
	close(g.open)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := s.Count("PutSecretValue"); n != 1 {
		t.Errorf("%d versions were sent", n)
	}
	// Who comes later has nobody to wait for, and knows the tags.
	got, err := p.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	s.ResetLog()
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: next}); err != nil || s.Count("DescribeSecret") != 0 {
		t.Errorf("%v, after %d looks", err, s.Count("DescribeSecret"))
	}
}

// hurried is a clock by which the caller's time ends while one sleeps.
type hurried struct{ provider.SystemClock }

func (hurried) Sleep(context.Context, time.Duration) error { return context.DeadlineExceeded }

// A write that waits, for others or for the end of a deletion, does not succeed
// because its time ends.
func TestWaitsOfAWriteEnd(t *testing.T) {
	for what, c := range map[string]struct {
		begin func(*peer)
		says  string
	}{
		"for others": {func(o *peer) {
			o.s.Inject(awsserver.Fault{Operation: "PutSecretValue", Error: &awsserver.Error{Code: "InvalidRequestException", Message: "no"}})
			o.s.Inject(awsserver.Fault{Operation: "CreateSecret", Error: &awsserver.Error{Code: "InvalidRequestException", Message: "no"}})
		}, ""},
		"for a deletion": {func(o *peer) {
			id, force := o.c.SecretPrefix+"a", true
			if _, err := directClient(o.c).DeleteSecret(o.t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: &force}); err != nil {
				o.t.Error(err)
			}
		}, "still deleting"},
	} {
		for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
			o, _, _ := betweenOn(t, awsserver.Options{ForcedDeletion: time.Hour}, provider.SystemClock{})
			o.store()
			c.begin(o)
			impatient := o.c
			impatient.Retry.MaxRetries = 0
			_, err := open(t, impatient, provider.WithClock(hurried{})).Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{Precondition: condition})
			if nebula.KindOf(err) != nebula.ErrTimeout || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %v: %v", what, condition, err)
			}
		}
	}
}
