package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func idsUpTo(n int) []nebula.ID {
	var ids []nebula.ID
	for i := range n {
		ids = append(ids, nebula.ID(fmt.Sprintf("id%03d", i)))
	}
	return ids
}

func manyOf(n, jobs int, do func(context.Context, nebula.ID) (bool, error)) *many {
	return &many{jobs: jobs, ids: idsUpTo(n), tell: func(int) {},
		verb: verb{name: "test", participle: "tested",
			do: func(ctx context.Context, _ *config.Opened, id nebula.ID) (bool, error) { return do(ctx, id) }}}
}

func unavailable() error { return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"} }

// As many run at once as are allowed: each waits for the others to have begun.
func TestManyAtOnce(t *testing.T) {
	const jobs = 8
	var under, most atomic.Int32
	full := make(chan struct{})
	m := manyOf(100, jobs, func(context.Context, nebula.ID) (bool, error) {
		n := under.Add(1)
		defer under.Add(-1)
		for {
			before := most.Load()
			if n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		if n == jobs && most.Load() == jobs {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		return true, nil
	})
	m.run(t.Context())
	if got := most.Load(); got != jobs {
		t.Errorf("%d at once, want %d", got, jobs)
	}
	s := (&app{}).summarise(m)
	if len(s.done) != 100 || s.done[0] != "id000" || s.done[99] != "id099" {
		t.Errorf("done: %v", s.done)
	}
}

// A backend that keeps failing ends the run; one that fails now and then, or
// refuses some, does not.
func TestManyStopsWhenTheBackendKeepsFailing(t *testing.T) {
	m := manyOf(1000, 8, func(_ context.Context, id nebula.ID) (bool, error) {
		if id < "id010" {
			return true, nil
		}
		return false, unavailable()
	})
	m.run(t.Context())
	s := (&app{}).summarise(m)
	if len(s.done) != 10 || len(s.failed) < 8 || len(s.failed) > 16 || len(s.done)+len(s.failed)+len(s.notBegun) != 1000 {
		t.Errorf("%d done, %d failed, %d not begun", len(s.done), len(s.failed), len(s.notBegun))
	}
	err := (&app{stderr: new(discard)}).endOf(m, s)
	if !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	for _, kind := range []nebula.Kind{nebula.ErrUnavailable, nebula.ErrPermissionDenied} {
		n := 0
		m = manyOf(100, 2, func(context.Context, nebula.ID) (bool, error) {
			if n++; n%2 == 0 && kind == nebula.ErrUnavailable {
				return true, nil
			}
			return false, &nebula.Error{Kind: kind}
		})
		m.verb.do = serial(m.verb.do)
		m.run(t.Context())
		if s := (&app{}).summarise(m); len(s.notBegun) != 0 {
			t.Errorf("%s: %d not begun", kind, len(s.notBegun))
		}
	}
}

// A signal lets what is under way finish, and nothing more begins.
func TestManyFinishesWhatIsUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := manyOf(100, 4, func(ctx context.Context, id nebula.ID) (bool, error) {
		if id == "id010" {
			cancel()
		}
		return true, ctx.Err()
	})
	m.run(ctx)
	s := (&app{}).summarise(m)
	if len(s.failed) != 0 || len(s.done) < 11 || len(s.done) > 15 || len(s.done)+len(s.notBegun) != 100 {
		t.Errorf("%d done, %d failed, %d not begun", len(s.done), len(s.failed), len(s.notBegun))
	}
	err := (&app{}).endOf(m, s)
	if !errors.Is(err, nebula.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

// The end of the command's time ends what is under way, too.
func TestManyEndsWithTheTime(t *testing.T) {
	d := newDeadline(t.Context(), 0)
	defer d.stop()
	m := manyOf(10, 2, func(ctx context.Context, id nebula.ID) (bool, error) {
		if id == "id000" {
			d.end(context.DeadlineExceeded)
		}
		<-ctx.Done()
		return false, ctx.Err()
	})
	m.run(d)
	s := (&app{}).summarise(m)
	if len(s.notBegun) < 8 || len(s.done) != 0 {
		t.Errorf("%d done, %d not begun", len(s.done), len(s.notBegun))
	}
	if err := (&app{stderr: new(discard)}).endOf(m, s); !errors.Is(err, nebula.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }

// serial lets one run at a time, in turn.
func serial(do func(context.Context, *config.Opened, nebula.ID) (bool, error)) func(context.Context, *config.Opened, nebula.ID) (bool, error) {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context, s *config.Opened, id nebula.ID) (bool, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return do(ctx, s, id)
	}
}
