package provider

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

func nameOf(t *testing.T, id string) nebula.Name {
	t.Helper()
	parsed, err := nebula.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	name, err := parsed.Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A change goes on without its caller, the next one of that name begins after it, and
// one of another name need not wait.
func TestChangeAfterOneLeftAlone(t *testing.T) {
	var c Changes
	name, other := nameOf(t, "a"), nameOf(t, "b")
	began, release := make(chan struct{}), make(chan struct{})
	left, leave := context.WithCancel(t.Context())
	var order []string
	go func() {
		<-began
		leave()
	}()
	_, err := Change(left, &c, name, func(ctx context.Context) (int, error) {
		close(began)
		<-release
		order = append(order, "first")
		return 1, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller got %v", err)
	}
	if got, err := Change(t.Context(), &c, other, func(context.Context) (int, error) { return 3, nil }); got != 3 || err != nil {
		t.Errorf("another name: %d, %v", got, err)
	}
	impatient, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Change(impatient, &c, name, func(context.Context) (int, error) { panic("it began") }); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that does not wait got %v", err)
	}
	close(release)
	got, err := Change(t.Context(), &c, name, func(context.Context) (int, error) {
		order = append(order, "second")
		return 2, nil
	})
	if got != 2 || err != nil || len(order) != 2 || order[0] != "first" {
		t.Errorf("%d, %v, in the order %v", got, err, order)
	}
	c.Wait()
	if len(c.byName) != 0 {
		t.Errorf("%d names are remembered", len(c.byName))
	}
}

// A change that does not end by itself is cut off, so that Wait returns.
func TestChangeIsCutOff(t *testing.T) {
	var c Changes
	ctx, cancel := context.WithCancel(t.Context())
	cut := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		<-began
		cancel()
	}()
	_, err := Change(ctx, &c, nameOf(t, "a"), func(ctx context.Context) (int, error) {
		close(began)
		<-ctx.Done()
		cut <- ctx.Err()
		return 0, ctx.Err()
	})
	c.Wait()
	if !errors.Is(err, context.Canceled) || <-cut == nil {
		t.Errorf("got %v", err)
	}
}

// Work beside a change delays no caller beyond its deadline, and the next change of
// the name waits for it.
func TestBeside(t *testing.T) {
	var c Changes
	name := nameOf(t, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release, ended := make(chan struct{}), false
	if c.Beside(ctx, name, time.Minute, func(context.Context) { <-release; ended = true }) {
		t.Error("Beside says that it has ended")
	}
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	_, err := Change(t.Context(), &c, name, func(context.Context) (bool, error) {
		if !ended {
			t.Error("the next change did not wait")
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Beside(t.Context(), name, time.Minute, func(context.Context) {}) {
		t.Error("Beside says that it has not ended")
	}
	if !c.Beside(t.Context(), name, time.Millisecond, func(ctx context.Context) { <-ctx.Done() }) {
		t.Error("its limit did not end it")
	}
	c.Wait()
}
