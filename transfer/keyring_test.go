package transfer_test

import (
	"crypto/fips140"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/transfer"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// If two stores have different data keys, a copy is refused, unless each credential is
// sealed anew.
func TestAnotherDataKey(t *testing.T) {
	from, _ := filled(t, inMemory, 40)
	to, _ := filled(t, inFiles, 0)
	_, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
	wantKind(t, err, nebula.ErrWrongKey)
	if to.calls.count("store") > 0 {
		t.Error("something was written")
	}
	for _, o := range []transfer.Options{{Reseal: true}, {Reseal: true, Move: true}} {
		want := described(t, from.Store)
		report, err := transfer.Copy(t.Context(), from.Store, to.Store, o)
		if err != nil || len(report.Failed)+len(report.Differs) > 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		if got := described(t, to.Store); !maps.Equal(got, want) {
			t.Error("values or metadata differ")
		}
		// A credential that was sealed anew counts as the same.
		if again := report; o.Move && len(again.Same) != 40 {
			t.Errorf("%+v", report)
		}
	}
	if len(contents(t, from.Store)) > 0 || to.calls.count("store") != 40 {
		t.Errorf("%d writes", to.calls.count("store"))
	}
	info, err := to.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range contents(t, to.Store) {
		if r, _ := to.GetSealed(t.Context(), id); r.Envelope.KeyID() != info.ID {
			t.Errorf("%s is under the key %v", id, r.Envelope.KeyID())
		}
	}
}

func TestResealNeedsAKeyOfItsOwn(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	to := inMemory(t, o)
	_, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Reseal: true})
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
	_, err = transfer.Copy(t.Context(), to.Store, from.Store, transfer.Options{})
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
}

// One of the two stores was rotated after a copy.
func TestRotatedSince(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	to := inMemory(t, o)
	if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]*nebula.Store{{from.Store, to.Store}, {to.Store, from.Store}} {
		_, err := transfer.Copy(t.Context(), pair[0], pair[1], transfer.Options{})
		wantKind(t, err, nebula.ErrWrongKey)
		report, err := transfer.Copy(t.Context(), pair[0], pair[1], transfer.Options{Reseal: true})
		if err != nil || len(report.Same) != 2 {
			t.Errorf("%+v, %v", report, err)
		}
	}
}

// If the source is rotated between plan and copy, nothing is written: the plan named
// another keyring.
func TestRotatedAfterThePlan(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	to := inMemory(t, o)
	plan, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.open(o).Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = plan.Run(t.Context())
	wantKind(t, err, nebula.ErrUntrustedKey)
	if to.calls.count("store") > 0 {
		t.Error("something was written")
	}
	if _, err := transfer.Copy(t.Context(), from.open(o), to.Store, transfer.Options{}); err != nil || value(t, to.Store, id(0)) != "value 0" {
		t.Error(err)
	}
}

// A copy of a store in the middle of a rotation has records under both keys. All of them
// can be read, and the rotation can go on.
func TestRotatingSource(t *testing.T) {
	from, o := filled(t, inMemory, 4)
	stopped := errors.New("killed")
	from.calls.step(func(c provider.Call) error {
		if c.Op == "store" && c.Name.ID() == id(2) {
			return stopped
		}
		return nil
	}, nil)
	if _, err := from.Rotate(t.Context(), nebula.RotateOptions{}); err == nil {
		t.Fatal("the rotation was not interrupted")
	}
	from.calls.step(nil, nil)
	to := inMemory(t, o)
	plan, err := transfer.NewPlan(t.Context(), from.open(o), to.Store, transfer.Options{})
	if err != nil || !plan.Keyring.Rotating {
		t.Fatal(err)
	}
	report, err := plan.Run(t.Context())
	if err != nil || len(report.Copied) != 4 {
		t.Fatalf("%+v, %v", report, err)
	}
	fresh := to.open(o)
	if _, err := fresh.Rotate(t.Context(), nebula.RotateOptions{ResumeOnly: true}); err != nil {
		t.Error(err)
	}
	if !maps.Equal(described(t, fresh), described(t, from.open(o))) {
		t.Error("something is lost")
	}
	again, err := transfer.Copy(t.Context(), from.open(o), to.open(o), transfer.Options{})
	if err != nil || len(again.Same) != 4 {
		t.Errorf("%+v, %v", again, err)
	}
}

// The keys that are configured for the destination must open it.
func TestDestinationWithoutTheKey(t *testing.T) {
	from, _ := filled(t, inMemory, 2)
	for _, o := range []nebula.Options{{}, {Keys: []nebula.Key{keyFile(t)}}} {
		to := inMemory(t, o)
		_, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
		if kind := nebula.KindOf(err); kind != nebula.ErrUnauthenticated && kind != nebula.ErrWrongKey {
			t.Error(err)
		}
		if made, _ := to.HasKeyring(t.Context()); made {
			t.Error("the keyring was written")
		}
	}
}

func TestDroppedSlots(t *testing.T) {
	from, o := filled(t, inMemory, 1)
	slot, err := from.AddKey(t.Context(), keyFile(t), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	to := inMemory(t, o)
	for _, c := range []struct {
		drop []string
		want nebula.Kind
	}{{[]string{"zzzzzzzz"}, nebula.ErrNotFound}, {[]string{slot.ID, from.slots(t)[0]}, nebula.ErrUsage}} {
		_, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{Drop: c.drop})
		wantKind(t, err, c.want)
	}
	plan, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{Drop: []string{slot.ID}})
	if err != nil || len(plan.Keyring.Slots) != 1 {
		t.Fatal(err)
	}
	if _, err := plan.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := to.slots(t); len(got) != 1 || got[0] == slot.ID {
		t.Error(got)
	}
	// After an interruption, the same copy goes on.
	again, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Drop: []string{slot.ID}})
	if err != nil || len(again.Same) != 1 {
		t.Error(again, err)
	}
}

// teamKey returns a key that opens slots of an age recipient, and makes them.
func teamKey(t *testing.T) nebula.Key {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("age does not work in FIPS mode")
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return recipient.New(recipient.Options{Recipient: identity.Recipient().String(), Identities: []string{path}})
}

// A stranger makes a store whose keyring has a slot for our recipient. Nothing is copied
// from it or into it, unless its data key is pinned.
func TestStrangersKeyring(t *testing.T) {
	key := teamKey(t)
	o := nebula.Options{Keys: []nebula.Key{key}}
	ours, theirs := inMemory(t, o), inMemory(t, o)
	id1, err := ours.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	id2, err := theirs.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, ours.Store, "x", "ours", nebula.PutOptions{})
	put(t, theirs.Store, "x", "theirs", nebula.PutOptions{})
	pinned := func(id nebula.KeyID) nebula.Options { return nebula.Options{Keys: o.Keys, TrustedKey: &id} }

	for what, c := range map[string]struct {
		from, to func() *nebula.Store
		want     nebula.Kind
	}{
		"source without a pin": {func() *nebula.Store { return theirs.open(o) }, func() *nebula.Store { return inMemory(t, o).Store }, nebula.ErrUntrustedKey},
		"source, another pinned": {func() *nebula.Store { return theirs.open(pinned(id1)) }, func() *nebula.Store { return inMemory(t, o).Store },
			nebula.ErrUntrustedKey},
		"destination without a pin": {func() *nebula.Store { return ours.open(pinned(id1)) }, func() *nebula.Store { return theirs.open(o) }, nebula.ErrUntrustedKey},
		"destination, another pinned": {func() *nebula.Store { return ours.open(pinned(id1)) }, func() *nebula.Store { return theirs.open(pinned(id1)) },
			nebula.ErrUntrustedKey},
		"uninitialised destination, another pinned": {func() *nebula.Store { return ours.open(pinned(id1)) },
			func() *nebula.Store { return inMemory(t, pinned(id2)).Store }, nebula.ErrUntrustedKey},
		"source that is named":                  {func() *nebula.Store { return ours.open(pinned(id1)) }, func() *nebula.Store { return inMemory(t, o).Store }, ""},
		"named, and pinned at the destination":  {func() *nebula.Store { return ours.open(pinned(id1)) }, func() *nebula.Store { return inMemory(t, pinned(id1)).Store }, ""},
		"both that are named, of two data keys": {func() *nebula.Store { return ours.open(pinned(id1)) }, func() *nebula.Store { return theirs.open(pinned(id2)) }, nebula.ErrWrongKey},
	} {
		for _, reseal := range []bool{false, true} {
			from, to := c.from(), c.to()
			made, _ := to.HasKeyring(t.Context())
			if reseal && (c.want == nebula.ErrWrongKey || !made) {
				continue
			}
			before := contents(t, theirs.open(pinned(id2)))
			report, err := transfer.Copy(t.Context(), from, to, transfer.Options{Reseal: reseal, Overwrite: true})
			if nebula.KindOf(err) != c.want || err == nil && len(report.Copied) != 1 {
				t.Errorf("%s, reseal %v: %+v, %v", what, reseal, report, err)
			}
			if now, _ := to.HasKeyring(t.Context()); err != nil && now != made {
				t.Errorf("%s: a keyring was written", what)
			}
			if !maps.Equal(contents(t, theirs.open(pinned(id2))), before) {
				t.Errorf("%s: the stranger's store was written to", what)
			}
		}
	}
}

// A destination that lost everything gets an older keyring only if a person says so.
func TestOlderKeyring(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	o.Pins = nebula.NewPinFile(filepath.Join(t.TempDir(), "known_stores"))
	to := inFiles(t, o)
	if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.AddKey(t.Context(), keyFile(t), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(to.Describe().Address); err != nil {
		t.Fatal(err)
	}
	fresh := to.open(o)
	_, err := transfer.Copy(t.Context(), from.Store, fresh, transfer.Options{})
	wantKind(t, err, nebula.ErrRolledBack)
	if !transfer.AtDestination(err) || transfer.AtSource(err) {
		t.Error("the error does not say which store it is about")
	}
	if made, _ := fresh.HasKeyring(t.Context()); made {
		t.Error("the keyring was written")
	}
	if _, err := transfer.Copy(t.Context(), from.Store, fresh, transfer.Options{OlderKeyring: true}); err != nil {
		t.Fatal(err)
	}
	if value(t, to.open(o), id(1)) != "value 1" {
		t.Error("the store does not open")
	}
}
