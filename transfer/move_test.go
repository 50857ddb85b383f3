package transfer_test

import (
	"maps"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/transfer"
)

func TestMove(t *testing.T) {
	for a, source := range kinds {
		for b, destination := range kinds {
			t.Run(a+" to "+b, func(t *testing.T) {
				from, o := filled(t, source, 30)
				want := contents(t, from.Store)
				to := destination(t, o)
				// An earlier run was stopped between a copy and its deletion.
				if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{IDs: ids(0, 9)}); err != nil {
					t.Fatal(err)
				}
				put(t, to.Store, id(3), "another", nebula.PutOptions{})
				report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
				if err != nil || len(report.Failed) > 0 {
					t.Fatalf("%+v, %v", report, err)
				}
				wantIDs(t, "copied", report.Copied, ids(9, 30)...)
				wantIDs(t, "differs", report.Differs, id(3))
				left, got := contents(t, from.Store), contents(t, to.Store)
				if !maps.Equal(left, map[nebula.ID]string{id(3): want[id(3)]}) {
					t.Errorf("%d are left at the source", len(left))
				}
				got[id(3)] = want[id(3)]
				if !maps.Equal(got, want) {
					t.Error("the records at the destination are not those of the source")
				}
			})
		}
	}
}

// If a credential changes at the source after it was copied, it stays there.
func TestMoveOfAChangedSource(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			from, o := filled(t, kind, 3)
			other := from.open(o)
			to := inMemory(t, o)
			var once atomic.Bool
			to.calls.step(nil, func(c provider.Call) {
				if c.Op == "store" && c.Name.ID() == id(1) && once.CompareAndSwap(false, true) {
					put(t, other, id(1), "newer", nebula.PutOptions{})
				}
			})
			report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
			if err != nil || len(report.Failed) != 1 || report.Failed[0].ID != id(1) {
				t.Fatalf("%+v, %v", report, err)
			}
			wantKind(t, report.Failed[0].Err, nebula.ErrConflict)
			if got := value(t, from.Store, id(1)); got != "newer" {
				t.Errorf("the source has %q", got)
			}
			report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true, Overwrite: true})
			if err != nil || len(report.Copied) != 1 || value(t, to.Store, id(1)) != "newer" || len(contents(t, from.Store)) != 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// A backend that was opened twice is one store.
func TestOneStoreBySpellings(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	_, err := transfer.NewPlan(t.Context(), from.Store, from.open(o), transfer.Options{})
	wantKind(t, err, nebula.ErrUsage)
	files, o := filled(t, inFiles, 2)
	_, err = transfer.NewPlan(t.Context(), files.Store, files.open(o), transfer.Options{})
	wantKind(t, err, nebula.ErrUsage)
}

// If the provider cannot tell that two addresses lead to one store, the first deletion
// shows it, and the record is put back.
func TestMoveWithinOneStoreThatNothingTells(t *testing.T) {
	o := nebula.Options{Keys: []nebula.Key{keyFile(t)}}
	backend := memory.NewBackend()
	p := placeOf(t, o, func(options ...provider.Option) nebula.Provider {
		c := memory.DefaultConfig()
		c.Backend = backend
		inner := made(t)(memory.New(c, options...))
		return nameless{inner, inner.(nebula.Connector), inner.(nebula.Describer)}
	})
	if _, err := p.Init(t.Context(), o.Keys[0]); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		put(t, p.Store, id(i), "v", nebula.PutOptions{})
	}
	want := contents(t, p.Store)
	p.calls.step(nil, nil)
	report, err := transfer.Copy(t.Context(), p.Store, p.open(o), transfer.Options{Move: true})
	wantKind(t, err, nebula.ErrUsage)
	if len(report.Copied)+len(report.Same) > 0 || p.calls.count("delete") != 1 {
		t.Errorf("%+v, %d deletions", report, p.calls.count("delete"))
	}
	if !maps.Equal(contents(t, p.Store), want) {
		t.Error("something is lost")
	}
	// If the copy cannot be read after the first deletion, nothing more is deleted.
	read := &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}
	p.calls.step(func(c provider.Call) error {
		if c.Op == "retrieve" && p.calls.count("delete") > 0 {
			return read
		}
		return nil
	}, nil)
	report, err = transfer.Copy(t.Context(), p.Store, p.open(o), transfer.Options{Move: true, Jobs: 1})
	if nebula.KindOf(err) != nebula.ErrUnavailable || p.calls.count("delete") != 1 {
		t.Errorf("%+v, %v, %d deletions", report, err, p.calls.count("delete"))
	}
}

// If a deletion is denied, the report says so, and the copy stays.
func TestMoveThatMayNotDelete(t *testing.T) {
	from, o := filled(t, inMemory, 3)
	to := inMemory(t, o)
	from.calls.step(func(c provider.Call) error {
		if c.Op == "delete" {
			return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "read only"}
		}
		return nil
	}, nil)
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
	if err != nil || len(report.Failed) != 3 || len(report.Copied) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrPermissionDenied)
	if len(contents(t, to.Store)) != 3 || len(contents(t, from.Store)) != 3 {
		t.Error("something is lost")
	}
}
