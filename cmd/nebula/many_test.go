package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// attempt applies a verb to n ids, atOnce of them at a time, and returns the summary for
// a person and the error.
func attempt(ctx context.Context, a *app, n, atOnce int, do func(context.Context, nebula.ID) (bool, error)) (summary, error) {
	var ids []nebula.ID
	for i := range n {
		ids = append(ids, nebula.ID(fmt.Sprintf("id%03d", i)))
	}
	v := verb{name: "test", participle: "tested", gerund: "testing",
		do: func(ctx context.Context, _ *config.Opened, id nebula.ID) (bool, error) { return do(ctx, id) }}
	results, stopped := a.doMany(ctx, &config.Opened{MaxConcurrency: atOnce}, ids, v)
	s := a.summarise(ids, results)
	return s, a.endOf(v, "vault", s, stopped)
}

func unavailable() error { return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"} }

func TestManyAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := attempt(t.Context(), &app{stderr: &bytes.Buffer{}}, 100, 8, func(_ context.Context, id nebula.ID) (bool, error) {
			if id < "id004" {
				time.Sleep(time.Minute)
			}
			return id != "id050" && id != "id051", nil
		})
		if err != nil || len(s.done) != 98 || s.done[0] != "id000" || s.done[97] != "id099" || fmt.Sprint(s.absent) != "[id050 id051]" {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// If the backend keeps failing, the run ends. If it refuses some ids, the run goes on.
// The first failure decides the exit code.
func TestManyStopWhenTheBackendKeepsFailing(t *testing.T) {
	for name, c := range map[string]struct {
		fail     func(id nebula.ID) error
		kind     nebula.Kind
		says     string
		notBegun bool
	}{
		"keeps failing": {func(id nebula.ID) error {
			if id < "id010" {
				return nil
			}
			return unavailable()
		}, nebula.ErrUnavailable, "stopped, since the backend keeps failing; 90 of 100 are not done: down", true},
		"refuses": {func(id nebula.ID) error {
			return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "not " + string(id)}
		},
			nebula.ErrPermissionDenied, "not id000", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, err := attempt(t.Context(), &app{stderr: &bytes.Buffer{}}, 100, 8, func(_ context.Context, id nebula.ID) (bool, error) {
				time.Sleep(time.Millisecond)
				return true, c.fail(id)
			})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || len(s.notBegun) > 0 != c.notBegun {
				t.Errorf("%s: %v, %d not begun", name, err, len(s.notBegun))
			}
			if len(s.done)+len(s.failed)+len(s.notBegun) != 100 {
				t.Errorf("%s: %d done, %d failed, %d not begun", name, len(s.done), len(s.failed), len(s.notBegun))
			}
		})
	}
}

// After a signal the items under way finish, nothing more begins, and the rest is
// counted.
func TestManyFinishWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &app{stderr: &bytes.Buffer{}}
		s, err := attempt(ctx, a, 100, 4, func(ctx context.Context, id nebula.ID) (bool, error) {
			time.Sleep(time.Second)
			if id == "id010" {
				cancel()
			}
			return true, ctx.Err()
		})
		if len(s.failed) != 0 || len(s.done) < 11 || len(s.done) > 15 || len(s.done)+len(s.notBegun) != 100 {
			t.Errorf("%d done, %d failed, %d not begun", len(s.done), len(s.failed), len(s.notBegun))
		}
		f := a.failureOf(err)
		if f.Code != 130 || f.Message != fmt.Sprintf("interrupted; %d of 100 are not done", len(s.notBegun)) || f.Hint != "run it again for the rest" {
			t.Errorf("%+v", f)
		}
	})
}

// When the command's time is over, the items under way end, too.
func TestManyEndWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{stderr: &bytes.Buffer{}}
		a.clock = newDeadline(t.Context(), 30*time.Second)
		defer a.clock.stop()
		a.global.limit = 30 * time.Second
		s, err := attempt(a.clock, a, 10, 2, func(ctx context.Context, id nebula.ID) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		})
		if len(s.notBegun) != 8 || len(s.failed) != 2 {
			t.Errorf("%+v", s)
		}
		if f := a.failureOf(err); f.Code != 6 || f.Message != "the command took longer than 30s" {
			t.Errorf("%+v", f)
		}
	})
}
