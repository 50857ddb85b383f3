package nebula_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// keptKeys keeps data keys in memory.
type keptKeys map[string]nebula.KeptKey

func (k keptKeys) Get(_ context.Context, address string) (nebula.KeptKey, bool) {
	key, found := k[address]
	return key, found
}

func (k keptKeys) Keep(_ context.Context, address string, key nebula.KeptKey) { k[address] = key }

// noKeys is an empty list of keys; nil would mean the keys of the fixture.
func noKeys() []nebula.Key { return []nebula.Key{} }

// A kept data key opens the store without any other key. After a rotation it does not
// open the store any more.
func TestKeptKey(t *testing.T) {
	f, kept := newFixture(t), keptKeys{}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	pins := &heldPins{}
	get(t, f.pinned(t, nebula.Options{Pins: pins}), "x")
	get(t, f.pinned(t, nebula.Options{Pins: pins, DataKeys: kept}), "x")
	if len(kept) != 1 {
		t.Fatalf("%d keys are kept", len(kept))
	}
	for address, key := range kept {
		if !strings.HasSuffix(address, ":here") || !key.Pinned || key.Secret == [32]byte{} {
			t.Errorf("kept for %q, pinned %v", address, key.Pinned)
		}
	}
	alone := f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept})
	for what, err := range everyUse(t, alone) {
		if what != "rotate" && err != nil { // rotate needs the key of every slot
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{Drop: others(t, f)}); err != nil {
		t.Fatal(err)
	}
	_, err := f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnauthenticated)
	before := maps.Clone(kept)
	get(t, f.pinned(t, nebula.Options{Pins: pins, DataKeys: kept}), "x")
	if maps.Equal(before, kept) {
		t.Error("the new data key was not kept in the place of the old one")
	}
	get(t, f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept}), "x")
}

// others returns the slots that the key of the fixture does not open.
func others(t *testing.T, f *fixture) (ids []string) {
	t.Helper()
	for _, slot := range keysOf(t, f.Store).Slots[1:] {
		ids = append(ids, slot.ID)
	}
	return ids
}

// A process that had no pin of the store keeps a data key. Another process without a pin
// refuses that key. Its own keys that need a secret come first.
func TestKeptKeyThatIsNotPinned(t *testing.T) {
	f, kept := newFixture(t), keptKeys{}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	id := keysOf(t, f.Store).ID
	get(t, f.pinned(t, nebula.Options{DataKeys: kept}), "x")
	for _, key := range kept {
		if key.Pinned {
			t.Fatal("nothing is remembered, and the key counts as pinned")
		}
	}
	for name, pins := range map[string]nebula.Pins{"no pins": nil, "no pin": &heldPins{}} {
		s := f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept, Pins: pins})
		for what, err := range everyUse(t, s) {
			wantKind(t, err, nebula.ErrUntrustedKey)
			if err == nil || strings.Contains(err.Error(), id.String()) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		get(t, f.pinned(t, nebula.Options{DataKeys: maps.Clone(kept), Pins: pins}), "x")
	}
	get(t, f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept, TrustedKey: &id}), "x")
}

// A kept data key does not help a stranger's keyring past the pin, whichever key opens
// that keyring.
func TestKeptKeyAndStrangersKeyring(t *testing.T) {
	f, theirs, key := newFixture(t), newEmptyFixture(t), newServiceKey()
	pins, kept := &heldPins{}, keptKeys{}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	get(t, f.pinned(t, nebula.Options{Pins: pins, DataKeys: kept}), "x")
	evil := theirs.open(t, nebula.Options{Keys: []nebula.Key{key}})
	if _, err := evil.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	put(t, evil, "x", "theirs", nebula.PutOptions{})
	before := maps.Clone(kept)
	for name, options := range map[string]nebula.Options{
		"a pin":  {Keys: []nebula.Key{key}, DataKeys: kept, Pins: pins},
		"no pin": {Keys: []nebula.Key{key}, DataKeys: kept},
	} {
		for what, err := range everyUse(t, theirs.pinned(t, options)) {
			wantKind(t, err, nebula.ErrUntrustedKey)
			if err == nil {
				t.Errorf("%s, %s: nothing", name, what)
			}
		}
	}
	if !maps.Equal(before, kept) {
		t.Error("the stranger's key was kept")
	}
	// The stranger's data key opens the stranger's keyring, if somebody was tricked
	// into keeping it.
	stranger := keptKeys{}
	get(t, theirs.pinned(t, nebula.Options{Keys: []nebula.Key{key}, DataKeys: stranger, TrustedKey: idOf(t, evil)}), "x")
	_, err := theirs.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: stranger, Pins: pins}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUntrustedKey)
}

func idOf(t *testing.T, s *nebula.Store) *nebula.KeyID {
	t.Helper()
	info := keysOf(t, s)
	return &info.ID
}
