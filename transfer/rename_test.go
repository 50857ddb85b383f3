package transfer_test

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/transfer"
)

func TestRename(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			p, _ := filled(t, kind, 3)
			want := described(t, p.Store)
			version, err := transfer.Rename(t.Context(), p.Store, id(1), "moved", transfer.RenameOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := described(t, p.Store)
			if got["moved"] != want[id(1)] || got[id(1)] != "" || len(got) != 3 {
				t.Errorf("%v", got)
			}
			if r, err := p.GetSealed(t.Context(), "moved"); err != nil || r.Version != version {
				t.Error(r.Version, version, err)
			}
			if _, err := transfer.Rename(t.Context(), p.Store, id(2), "copied", transfer.RenameOptions{Keep: true}); err != nil {
				t.Fatal(err)
			}
			if got := described(t, p.Store); got["copied"] != want[id(2)] || got[id(2)] != want[id(2)] {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestRenameOverAnother(t *testing.T) {
	p, o := filled(t, inMemory, 3)
	for _, keep := range []bool{false, true} {
		_, err := transfer.Rename(t.Context(), p.Store, id(0), id(1), transfer.RenameOptions{Keep: keep})
		wantKind(t, err, nebula.ErrAlreadyExists)
		_, err = transfer.Rename(t.Context(), p.Store, id(0), id(0), transfer.RenameOptions{Keep: keep})
		wantKind(t, err, nebula.ErrUsage)
		_, err = transfer.Rename(t.Context(), p.Store, "gone", id(1), transfer.RenameOptions{Keep: keep, Overwrite: true})
		wantKind(t, err, nebula.ErrNotFound)
		_, err = transfer.Rename(t.Context(), p.Store, id(0), "a b", transfer.RenameOptions{Keep: keep})
		wantKind(t, err, nebula.ErrInvalidID)
	}
	if value(t, p.Store, id(0)) != "value 0" || value(t, p.Store, id(1)) != "value 1" {
		t.Error("something was changed")
	}
	if _, err := transfer.Rename(t.Context(), p.Store, id(0), id(1), transfer.RenameOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if value(t, p.Store, id(0)) != "not_found" || value(t, p.Store, id(1)) != "value 0" {
		t.Error("it was not moved")
	}
	// A record that cannot be read is in the way, too.
	stranger, _ := filled(t, inMemory, 1)
	raw, _ := stranger.GetSealed(t.Context(), id(0))
	p.swap(t, "broken", raw.Envelope)
	_, err := transfer.Rename(t.Context(), p.Store, id(1), "broken", transfer.RenameOptions{})
	wantKind(t, err, nebula.ErrAlreadyExists)
	if _, err := transfer.Rename(t.Context(), p.Store, id(1), "broken", transfer.RenameOptions{Overwrite: true}); err != nil {
		t.Error(err)
	}
	if value(t, p.open(o), "broken") != "value 0" {
		t.Error("it was not moved")
	}
}

// A rename that was stopped before the deletion can go on.
func TestRenameGoesOn(t *testing.T) {
	p, _ := filled(t, inFiles, 1)
	want := described(t, p.Store)[id(0)]
	killed := errors.New("killed")
	p.calls.step(func(c provider.Call) error {
		if c.Op == "delete" {
			return killed
		}
		return nil
	}, nil)
	_, err := transfer.Rename(t.Context(), p.Store, id(0), "new", transfer.RenameOptions{})
	if !errors.Is(err, killed) || len(contents(t, p.Store)) != 2 {
		t.Fatal(err)
	}
	p.calls.step(nil, nil)
	if _, err := transfer.Rename(t.Context(), p.Store, id(0), "new", transfer.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := described(t, p.Store); len(got) != 1 || got["new"] != want || p.calls.count("store") > 0 {
		t.Errorf("%v, %d writes", got, p.calls.count("store"))
	}
}

// Another writer changes a credential while it is renamed.
func TestRenameOfAChangedOne(t *testing.T) {
	p, o := filled(t, inMemory, 1)
	other := p.open(o)
	p.calls.step(nil, func(c provider.Call) {
		if c.Op == "store" && c.Name.ID() == "new" {
			put(t, other, id(0), "newer", nebula.PutOptions{})
		}
	})
	_, err := transfer.Rename(t.Context(), p.Store, id(0), "new", transfer.RenameOptions{})
	wantKind(t, err, nebula.ErrConflict)
	if value(t, p.Store, id(0)) != "newer" {
		t.Error("the newer value is lost")
	}
	p.calls.step(nil, nil)
	if _, err := transfer.Rename(t.Context(), p.Store, id(0), "new", transfer.RenameOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if value(t, p.Store, "new") != "newer" || value(t, p.Store, id(0)) != "not_found" {
		t.Error("it was not renamed")
	}
}

// The rollback guard remembers the deleted credential of an id. It accepts a renamed one
// there, which has its own history.
func TestRenameWithARollbackGuard(t *testing.T) {
	o := nebula.Options{Keys: []nebula.Key{keyFile(t)}, RollbackGuard: nebula.NewGuardFile(t.TempDir() + "/guard")}
	p := inMemory(t, o)
	if _, err := p.Init(t.Context(), o.Keys[0]); err != nil {
		t.Fatal(err)
	}
	put(t, p.Store, "old", "v", nebula.PutOptions{})
	put(t, p.Store, "new", "v", nebula.PutOptions{})
	put(t, p.Store, "new", "w", nebula.PutOptions{})
	if _, err := p.Delete(t.Context(), "new", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Rename(t.Context(), p.Store, "old", "new", transfer.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, p.open(o), "new"); got != "v" {
		t.Error(got)
	}
}

// Without locks, a store has no conditional writes. Copy and rename still work.
func TestWithoutPreconditions(t *testing.T) {
	unlocked := func(t *testing.T, o nebula.Options) *place {
		c := local.DefaultConfig()
		c.BasePath, c.EnableLocking = t.TempDir()+"/credentials", false
		return placeOf(t, o, func(options ...provider.Option) nebula.Provider { return made(t)(local.New(c, options...)) })
	}
	from, o := filled(t, inMemory, 3)
	to := unlocked(t, o)
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
	if err != nil || len(report.Copied) != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	put(t, from.Store, id(1), "newer", nebula.PutOptions{})
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Overwrite: true})
	if err != nil || len(report.Copied) != 1 || value(t, to.Store, id(1)) != "newer" {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := transfer.Rename(t.Context(), to.Store, id(1), "kept", transfer.RenameOptions{Keep: true}); err != nil || value(t, to.Store, "kept") != "newer" {
		t.Error(err)
	}
	_, err = transfer.Rename(t.Context(), to.Store, id(0), "kept", transfer.RenameOptions{})
	wantKind(t, err, nebula.ErrAlreadyExists)
}
