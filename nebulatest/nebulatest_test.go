package nebulatest_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider"
)

func TestStore(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	store := nebulatest.NewStore(t)
	ctx := t.Context()
	v := store.Set("a", "one")
	c, err := store.Get(ctx, "a")
	if err != nil || string(c.Secret.Reveal()) != "one" || c.Version != v {
		t.Fatalf("%q, %v", c.Secret.Reveal(), err)
	}
	if _, err := store.Put(ctx, "a", nebula.NewSecret([]byte("two")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := store.Value("a"); got != "two" {
		t.Errorf("%q", got)
	}
	store.Remove("a")
	if _, err := store.Get(ctx, "a"); !errors.Is(err, nebula.ErrNotFound) {
		t.Error(err)
	}
	if files, err := os.ReadDir(os.Getenv("HOME")); err != nil || len(files) > 0 {
		t.Errorf("files were made: %v, %v", files, err)
	}
	if _, err := nebulatest.NewStore(t).Get(ctx, "a"); !errors.Is(err, nebula.ErrNotFound) {
		t.Errorf("two stores share their credentials: %v", err)
	}
}

func TestFaults(t *testing.T) {
	store := nebulatest.NewStore(t)
	ctx := t.Context()
	store.Set("a", "one")
	get := func() nebula.Kind { _, err := store.Get(ctx, "a"); return nebula.KindOf(err) }
	store.Fail(nebula.ErrUnavailable)
	if got := []nebula.Kind{get(), get()}; !slices.Equal(got, []nebula.Kind{nebula.ErrUnavailable, nebula.ErrUnavailable}) {
		t.Errorf("in an outage: %v", got)
	}
	store.Mend()
	store.FailTimes(nebula.ErrPermissionDenied, provider.OpRetrieve, 3)
	denied := 0
	for range 10 {
		if get() == nebula.ErrPermissionDenied {
			denied++
		}
	}
	if denied == 0 || denied > 3 {
		t.Errorf("denied %d times", denied)
	}
	if _, err := store.Exists(ctx, "a"); err != nil {
		t.Error(err)
	}
	store.Mend()
	store.Slow(time.Hour)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := store.Get(short, "a"); nebula.KindOf(err) != nebula.ErrTimeout {
		t.Errorf("slow: %v", err)
	}
	store.Mend()
	before := store.Calls(provider.OpExists)
	_, _ = store.Exists(ctx, "a")
	if got := store.Calls(provider.OpExists); got != before+1 {
		t.Errorf("%d calls, before %d", got, before)
	}
}

// Another process writes between a read and a write.
func TestBeforeWrite(t *testing.T) {
	store := nebulatest.NewStore(t)
	ctx := t.Context()
	v := store.Set("a", "one")
	store.BeforeWrite(func() { store.Set("a", "theirs") })
	_, err := store.Put(ctx, "a", nebula.NewSecret([]byte("mine")), nebula.PutOptions{IfVersion: v})
	if !errors.Is(err, nebula.ErrConflict) || store.Value("a") != "theirs" {
		t.Errorf("%v, %q", err, store.Value("a"))
	}
	if _, err := store.Put(ctx, "a", nebula.NewSecret([]byte("mine")), nebula.PutOptions{}); err != nil || store.Value("a") != "mine" {
		t.Errorf("%v", err)
	}
}

func ExampleNewStore() {
	test := func(t *testing.T) {
		store := nebulatest.NewStore(t)
		store.Set("db_password", "secret")
		// client := NewClient(store.Store)
		store.Fail(nebula.ErrUnavailable)
		// What does the client do in an outage?
		store.Mend()
		store.Set("db_password", "another")
		// Does it use the new password?
	}
	_ = test
}
