package nebula_test

import (
	"context"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// If the backend keeps no deleted records, the error depends on what there is.
func TestRestoreWhereNothingIsKept(t *testing.T) {
	r := newRemote()
	s, key := r.initialised(t)
	wantKind(t, s.Restore(t.Context(), "none"), nebula.ErrNotSupported)
	r.failing = nebula.ErrUnavailable
	wantKind(t, s.Restore(t.Context(), "none"), nebula.ErrUnavailable)
	r.failing = ""
	r.wipe()
	wantKind(t, r.open(t, nebula.Options{Keys: []nebula.Key{key}}).Restore(t.Context(), "none"), nebula.ErrNotFound)
}

// Over a live credential of another scope, Restore says only that there is none.
func TestRestoreOverALiveOneOfAnotherScope(t *testing.T) {
	f := newFixture(t)
	red, blue := f.open(t, nebula.Options{Scope: "red"}), f.open(t, nebula.Options{Scope: "blue"})
	put(t, red, "x", "red's", nebula.PutOptions{})
	wantKind(t, red.Restore(t.Context(), "x"), nebula.ErrConflict)
	wantKind(t, blue.Restore(t.Context(), "x"), nebula.ErrNotFound)
	get(t, red, "x")
}

// A restored credential replaces the one in the cache.
func TestRestoreAndTheCache(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute}})
	put(t, s, "x", "one", nebula.PutOptions{})
	get(t, s, "x")
	put(t, f.Store, "x", "two", nebula.PutOptions{})
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	wantKind(t, s.Restore(t.Context(), "x"), "")
	if c := get(t, s, "x"); string(c.Secret.Reveal()) != "two" {
		t.Errorf("there is %q", c.Secret.Reveal())
	}
}

// After the backend has brought a record back, each step that makes it readable can
// fail. A restored record that is not sealed anew is not acknowledged, and the next
// call does the rest.
func TestRestoreThatFails(t *testing.T) {
	denied := &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "you may not"}
	for name, c := range map[string]struct {
		fails func(provider.Call) bool // after the restoration
		mark  bool                     // the guard fails
		want  nebula.Kind
		rest  nebula.Kind // of the next call
	}{
		"nothing":          {func(provider.Call) bool { return false }, false, "", nebula.ErrConflict},
		"reading it":       {func(c provider.Call) bool { return c.Op == provider.OpRetrieve && !c.Name.IsKeyring() }, false, nebula.ErrPermissionDenied, ""},
		"reading the keys": {func(c provider.Call) bool { return c.Op == provider.OpRetrieve && c.Name.IsKeyring() }, false, nebula.ErrPermissionDenied, ""},
		"sealing it":       {func(c provider.Call) bool { return c.Op == provider.OpStore }, false, nebula.ErrPermissionDenied, ""},
		"marking it":       {func(provider.Call) bool { return false }, true, nebula.ErrPermissionDenied, nebula.ErrConflict},
	} {
		f, guard := newFixture(t), &heldGuard{}
		put(t, f.Store, "x", "v", nebula.PutOptions{})
		wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
		if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		restored := false
		p := f.connect(t, provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
			if restored && c.fails(call) {
				return denied
			}
			restored = restored || call.Op == provider.OpRestore
			return next(ctx)
		}))
		s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{f.key}, RollbackGuard: guard})
		if err != nil {
			t.Fatal(err)
		}
		if c.mark {
			guard.updateErr = denied
		}
		if err := s.Restore(t.Context(), "x"); nebula.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		guard.updateErr = nil
		if err := f.Restore(t.Context(), "x"); nebula.KindOf(err) != c.rest {
			t.Errorf("%s: the next call: %v", name, err)
		}
		get(t, f.Store, "x")
	}
}

// Another writer comes before the record is sealed anew. Its record is under the current
// key, and stays.
func TestRestoreThatIsOvertaken(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	other := f.open(t, nebula.Options{})
	f.calls.step(func(c provider.Call) {
		if c.Op == provider.OpStore {
			f.calls.step(nil)
			put(t, other, "x", "theirs", nebula.PutOptions{Force: true})
		}
	})
	wantKind(t, f.Restore(t.Context(), "x"), "")
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "theirs" {
		t.Errorf("there is %q", c.Secret.Reveal())
	}
}

// The key of the deleted record has been destroyed since. The record comes back, and
// cannot be read.
func TestRestoreUnderADestroyedKey(t *testing.T) {
	f := newFixture(t)
	old := keysOf(t, f.Store).ID
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.DestroyKey(t.Context(), old, nebula.DestroyOptions{}), "")
	wantKind(t, f.Restore(t.Context(), "x"), nebula.ErrWrongKey)
}

// A record that was restored by name counts as the newest, although a newer one was
// seen. If nobody restored the older copy, it is still refused.
func TestRestoreAndTheRollbackGuard(t *testing.T) {
	for _, live := range []bool{false, true} {
		f := newFixture(t)
		s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
		put(t, s, "x", "1", nebula.PutOptions{})
		old := f.record(t, "x")
		f.clock.advance(time.Hour)
		put(t, s, "x", "2", nebula.PutOptions{})
		f.putBack(t, "x", old)
		if live {
			wantKind(t, s.Restore(t.Context(), "x"), nebula.ErrConflict)
			_, err := s.Get(t.Context(), "x")
			wantKind(t, err, nebula.ErrRolledBack)
			continue
		}
		wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
		wantKind(t, s.Restore(t.Context(), "x"), "")
		if c := get(t, s, "x"); string(c.Secret.Reveal()) != "1" {
			t.Errorf("there is %q", c.Secret.Reveal())
		}
	}
}
