package histories_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/provider/memory"
)

// faulty ignores conditions, or loses the answers of calls.
type faulty struct {
	nebula.Provider
	unconditional bool
	lossy         bool
	calls         int
}

func (f *faulty) Store(ctx context.Context, name nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if f.unconditional {
		time.Sleep(time.Millisecond)
		o = nebula.StoreOptions{}
	}
	if f.calls++; f.lossy && f.calls%9 == 0 {
		return "", context.DeadlineExceeded // the call never arrived
	}
	v, err := f.Provider.Store(ctx, name, e, o)
	if f.lossy && f.calls%11 == 0 {
		return "", context.DeadlineExceeded // the call arrived
	}
	return v, err
}

func newMemory(t *testing.T) (nebula.Provider, nebula.Name) {
	t.Helper()
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	life, ok := nebula.As[nebula.Connector](p)
	if !ok {
		t.Fatal("it cannot be connected")
	}
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = life.Close() })
	name, err := nebula.ID("contended").Name()
	if err != nil {
		t.Fatal(err)
	}
	return p, name
}

func TestContend(t *testing.T) {
	p, name := newMemory(t)
	load := histories.Load{Callers: 16, Rounds: 10, Unconditional: 0.1, Deletes: 0.1, Pause: 5 * time.Millisecond}
	h := histories.Contend(t, name, func(int) nebula.Provider { return p }, load)
	h.Verify(t)
	if h.Count(histories.Put, histories.Done) == 0 || h.Count(histories.Put, histories.Unclear) != 0 {
		t.Errorf("%d writes, %d unclear", h.Count(histories.Put, histories.Done), h.Count(histories.Put, histories.Unclear))
	}
}

func TestContendWithLostAnswers(t *testing.T) {
	p, name := newMemory(t)
	h := histories.Contend(t, name, func(int) nebula.Provider { return &faulty{Provider: p, lossy: true} },
		histories.Load{Callers: 8, Rounds: 20, Pause: time.Millisecond})
	h.Verify(t)
	if h.Count(histories.Put, histories.Unclear) == 0 {
		t.Error("no answer was lost")
	}
}

func TestContendFindsLostUpdates(t *testing.T) {
	p, name := newMemory(t)
	h := histories.Contend(t, name, func(int) nebula.Provider { return &faulty{Provider: p, unconditional: true} },
		histories.Load{Callers: 8, Rounds: 10})
	var found *histories.Error
	if err := h.Check(time.Minute); !errors.As(err, &found) {
		t.Errorf("the fault was not found: %v", err)
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		kind histories.Kind
		err  error
		want histories.Outcome
	}{
		{histories.Put, nil, histories.Done},
		{histories.Put, &nebula.Error{Kind: nebula.ErrConflict}, histories.Refused},
		{histories.Put, &nebula.Error{Kind: nebula.ErrAlreadyExists}, histories.Refused},
		{histories.Put, &nebula.Error{Kind: nebula.ErrNotFound}, histories.Unclear},
		{histories.Put, &nebula.Error{Kind: nebula.ErrPermissionDenied}, histories.Unclear},
		{histories.Get, &nebula.Error{Kind: nebula.ErrNotFound}, histories.Absent},
		{histories.Get, context.DeadlineExceeded, histories.Unclear},
		{histories.Get, &nebula.Error{Kind: nebula.ErrConflict}, histories.Unclear},
		{histories.Delete, &nebula.Error{Kind: nebula.ErrConflict}, histories.Refused},
		{histories.Delete, &nebula.Error{Kind: nebula.ErrAlreadyExists}, histories.Unclear},
	} {
		if got := histories.OutcomeOf(c.kind, c.err); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.kind, c.err, got, c.want)
		}
	}
}
