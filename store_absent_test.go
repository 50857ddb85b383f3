package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// everyReading calls everything that finds nothing if there is no store.
func everyReading(t *testing.T, open func() *nebula.Store) map[string]error {
	t.Helper()
	ctx := t.Context()
	_, get := open().Get(ctx, "x")
	_, exists := open().Exists(ctx, "x")
	_, tag := open().Tag(ctx, "x", map[string]string{"a": "b"}, nil)
	_, version := open().GetVersion(ctx, "x", "1")
	_, history := open().History(ctx, "x")
	_, put := open().Put(ctx, "x", value("v"), nebula.PutOptions{IfVersion: "1"})
	var listed error
	for _, err := range open().List(ctx, nebula.ListOptions{}) {
		listed = err
	}
	return map[string]error{
		"get": get, "exists": exists, "tag": tag, "version": version, "history": history, "list": listed, "put": put,
		"delete": failure(open().Delete(ctx, "x", nebula.DeleteOptions{})), "purge": failure(open().Purge(ctx, "x")), "restore": open().Restore(ctx, "x"),
	}
}

// A missing store is not an empty store.
func TestStoreThatIsNotThere(t *testing.T) {
	known, pins := newFixture(t), &heldPins{}
	put(t, known.pinned(t, nebula.Options{Pins: pins}), "x", "v", nebula.PutOptions{})
	info, _ := known.Keys(t.Context())
	for name, of := range map[string]struct {
		options nebula.Options
		kind    nebula.Kind
		says    string
	}{
		"unknown":    {nebula.Options{}, nebula.ErrNotFound, "not initialised"},
		"pinned":     {nebula.Options{Pins: pins}, nebula.ErrCorrupted, "not mounted"},
		"configured": {nebula.Options{TrustedKey: &info.ID}, nebula.ErrCorrupted, "not mounted"},
		"both":       {nebula.Options{TrustedKey: &info.ID, Pins: pins}, nebula.ErrCorrupted, "not mounted"},
	} {
		empty := newEmptyFixture(t)
		open := empty.open
		if of.options.Pins != nil {
			open = empty.pinned
		}
		for use, err := range everyReading(t, func() *nebula.Store { return open(t, of.options) }) {
			if nebula.KindOf(err) == nebula.ErrNotSupported && of.options.Pins != nil {
				continue // the wrapper that gives all providers one address has no abilities
			}
			if nebula.KindOf(err) != of.kind || !strings.Contains(fmt.Sprint(err), of.says) {
				t.Errorf("%s, %s: %v", name, use, err)
			}
			if of.kind == nebula.ErrNotFound && !errors.Is(err, nebula.ErrNotInitialised) {
				t.Errorf("%s, %s: %v does not distinguish it from a missing credential", name, use, err)
			}
		}
	}
	there := newFixture(t)
	for use, err := range everyReading(t, func() *nebula.Store { return there.open(t, nebula.Options{}) }) {
		if errors.Is(err, nebula.ErrNotInitialised) || nebula.KindOf(err) == nebula.ErrCorrupted {
			t.Errorf("%s in an empty store: %v", use, err)
		}
	}
}

// The store looks for the keyring only if it finds nothing, and only once.
func TestLookingForTheStoreCostsOneCall(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	s := f.open(t, nebula.Options{Keys: []nebula.Key{}})
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { _, _ = s.Exists(t.Context(), "x") }, "[exists x]"},
		{func() { list(t, s, nebula.ListOptions{}) }, "[list list]"},
		{func() { _, _ = s.Exists(t.Context(), "y") }, "[exists .keyring exists y]"},
		{func() { _, _ = s.Exists(t.Context(), "y") }, "[exists y]"},
		{func() { _, _ = s.Get(t.Context(), "y") }, "[retrieve y]"},
	} {
		step.do()
		if made := f.calls.take(); fmt.Sprint(made) != step.want {
			t.Errorf("calls: %v, want %s", made, step.want)
		}
	}
	s = f.open(t, nebula.Options{})
	_, _ = s.Get(t.Context(), "y")
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve .keyring retrieve y]" {
		t.Errorf("a get that finds nothing calls %v", made)
	}
}

// If the keyring may not be read, that says nothing about the store. If it cannot be
// reached, nobody knows whether there is a store.
func TestKeyringThatCannotBeLookedAt(t *testing.T) {
	for kind, want := range map[nebula.Kind]nebula.Kind{
		nebula.ErrPermissionDenied: "",
		nebula.ErrUnavailable:      nebula.ErrUnavailable,
	} {
		f := newFixture(t)
		p := f.connect(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
			if c.Name.IsKeyring() {
				return &nebula.Error{Kind: kind, Message: "the keyring"}
			}
			return next(ctx)
		}))
		s, err := nebula.Open(t.Context(), p, nebula.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Exists(t.Context(), "x")
		wantKind(t, err, want)
	}
}

// If a key id is configured, no store is made: a volume is probably not mounted, or a
// prefix mistyped.
func TestNoStoreIsMadeWhileAKeyIsConfigured(t *testing.T) {
	f := newEmptyFixture(t)
	asked := false
	first := func(context.Context) (nebula.Key, error) {
		asked = true
		return f.key, nil
	}
	s := f.open(t, nebula.Options{TrustedKey: &nebula.KeyID{1}, FirstKey: first})
	_, put := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{})
	_, fresh := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{IfAbsent: true})
	_, made := s.Init(t.Context(), f.key)
	for _, err := range []error{put, fresh, made} {
		wantKind(t, err, nebula.ErrCorrupted)
		if err == nil || !strings.Contains(err.Error(), "remove id") || !strings.Contains(err.Error(), "not mounted") {
			t.Errorf("%v does not say what to do", err)
		}
	}
	if found, _ := f.memory.Exists(t.Context(), nebula.KeyringName()); found || asked {
		t.Error("a keyring was made, or a key for it")
	}
}
