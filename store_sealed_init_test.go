package nebula_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func keyringOf(t *testing.T, s *nebula.Store) *nebula.Envelope {
	t.Helper()
	r, _, err := s.SealedKeyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r.Envelope
}

func TestInitSealed(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{})
	pins := &heldPins{}
	to := newEmptyFixture(t)
	to.key, to.clock = f.key, f.clock
	s := to.pinned(t, nebula.Options{Pins: pins})
	id, err := s.InitSealed(t.Context(), keyringOf(t, f.Store), nebula.InitSealedOptions{})
	if err != nil || id != keysOf(t, f.Store).ID {
		t.Fatal(id, err)
	}
	if !bytes.Equal(keyringOf(t, s).Bytes(), keyringOf(t, f.Store).Bytes()) {
		t.Error("the keyring is not the same")
	}
	if pin := pins.pins["memory:here"]; pin.KeyID != id || pin.Generation != 1 {
		t.Errorf("pinned %+v", pin)
	}
	put(t, s, "y", "opened", nebula.PutOptions{})
	_, err = s.InitSealed(t.Context(), keyringOf(t, f.Store), nebula.InitSealedOptions{})
	wantKind(t, err, nebula.ErrAlreadyExists)
}

// Nothing is written unless a key at hand opens the keyring and the keyring is trusted.
func TestInitSealedRefuses(t *testing.T) {
	f := newFixture(t)
	service := newServiceKey()
	stranger := newEmptyFixture(t)
	theirs := stranger.open(t, nebula.Options{Keys: []nebula.Key{service}})
	theirID, err := theirs.Init(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	own, other := *idOf(t, f.Store), nebula.KeyID{1}
	serviced := []nebula.Key{service}
	pinned := func(id nebula.KeyID, generation uint64) *heldPins {
		return &heldPins{pins: map[string]nebula.Pin{"memory:here": {KeyID: id, Generation: generation}}}
	}
	damaged := nebula.EditSlot(t, keyringOf(t, f.Store), 0, false, func(s *nebula.Slot) { s.Salt[0] ^= 1 })
	if _, err := nebula.ParseEnvelope(nebula.KeyringName(), damaged); nebula.KindOf(err) != nebula.ErrCorrupted {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		keyring *nebula.Envelope
		options nebula.Options
		how     nebula.InitSealedOptions
		want    nebula.Kind
	}{
		"no key":                     {keyringOf(t, f.Store), nebula.Options{Keys: noKeys()}, nebula.InitSealedOptions{}, nebula.ErrUnauthenticated},
		"another key file":           {keyringOf(t, f.Store), nebula.Options{Keys: []nebula.Key{newKeyFile(t)}}, nebula.InitSealedOptions{}, nebula.ErrWrongKey},
		"anyone's":                   {keyringOf(t, theirs), nebula.Options{Keys: serviced}, nebula.InitSealedOptions{}, nebula.ErrUntrustedKey},
		"anyone's, another is named": {keyringOf(t, theirs), nebula.Options{Keys: serviced, TrustedKey: &own}, nebula.InitSealedOptions{}, nebula.ErrUntrustedKey},
		"anyone's, another is asked": {keyringOf(t, theirs), nebula.Options{Keys: serviced}, nebula.InitSealedOptions{TrustedKey: &own}, nebula.ErrUntrustedKey},
		"anyone's, another pin":      {keyringOf(t, theirs), nebula.Options{Keys: serviced, Pins: pinned(own, 1)}, nebula.InitSealedOptions{TrustedKey: &theirID}, nebula.ErrUntrustedKey},
		"another is configured":      {keyringOf(t, f.Store), nebula.Options{TrustedKey: &other}, nebula.InitSealedOptions{}, nebula.ErrUntrustedKey},
		"another is asked for":       {keyringOf(t, f.Store), nebula.Options{}, nebula.InitSealedOptions{TrustedKey: &other}, nebula.ErrUntrustedKey},
		"another is pinned":          {keyringOf(t, f.Store), nebula.Options{Pins: pinned(other, 1)}, nebula.InitSealedOptions{TrustedKey: &own}, nebula.ErrUntrustedKey},
		"a later one is pinned":      {keyringOf(t, f.Store), nebula.Options{Pins: pinned(own, 7)}, nebula.InitSealedOptions{}, nebula.ErrRolledBack},
		"a slot that is not there":   {keyringOf(t, f.Store), nebula.Options{}, nebula.InitSealedOptions{Drop: []string{"abcdefgh"}}, nebula.ErrNotFound},
		"no slot left":               {keyringOf(t, f.Store), nebula.Options{}, nebula.InitSealedOptions{Drop: []string{keysOf(t, f.Store).Slots[0].ID}}, nebula.ErrUsage},
		"nothing":                    {nil, nebula.Options{}, nebula.InitSealedOptions{}, nebula.ErrUsage},
	} {
		to := newEmptyFixture(t)
		to.key, to.clock = f.key, f.clock
		_, err := to.pinned(t, c.options).InitSealed(t.Context(), c.keyring, c.how)
		if nebula.KindOf(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), theirID.String()) {
			t.Errorf("%s: the message shows the stranger's id: %v", what, err)
		}
		if made := strings.Join(to.calls.take(), " "); strings.Contains(made, "store") {
			t.Errorf("%s: %s", what, made)
		}
	}
}

// Each of these names the data key of a keyring that anyone could have made, and so
// makes it trusted.
func TestInitSealedFromASlotThatAnyoneCanMake(t *testing.T) {
	service := newServiceKey()
	f := newEmptyFixture(t)
	from := f.open(t, nebula.Options{Keys: []nebula.Key{service}})
	id, err := from.Init(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		options nebula.Options
		how     nebula.InitSealedOptions
	}{
		"the caller":        {nebula.Options{}, nebula.InitSealedOptions{TrustedKey: &id}},
		"the configuration": {nebula.Options{TrustedKey: &id}, nebula.InitSealedOptions{}},
		"the pin": {nebula.Options{Pins: &heldPins{pins: map[string]nebula.Pin{"memory:here": {KeyID: id, Generation: 1}}}},
			nebula.InitSealedOptions{}},
	} {
		to := newEmptyFixture(t)
		c.options.Keys = []nebula.Key{service}
		if _, err := to.pinned(t, c.options).InitSealed(t.Context(), keyringOf(t, from), c.how); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestInitSealedOfAnOlderKeyring(t *testing.T) {
	f := newFixture(t)
	old, id := keyringOf(t, f.Store), *idOf(t, f.Store)
	pins := &heldPins{pins: map[string]nebula.Pin{"memory:here": {KeyID: id, Generation: 7}}}
	to := newEmptyFixture(t)
	to.key, to.clock = f.key, f.clock
	s := to.pinned(t, nebula.Options{Pins: pins})
	if _, err := s.InitSealed(t.Context(), old, nebula.InitSealedOptions{Older: true}); err != nil {
		t.Fatal(err)
	}
	if pin := pins.pins["memory:here"]; pin.KeyID != id || pin.Generation != 1 {
		t.Errorf("pinned %+v", pin)
	}
	put(t, to.pinned(t, nebula.Options{Pins: pins}), "x", "v", nebula.PutOptions{})
}

func TestInitSealedLeavesSlotsBehind(t *testing.T) {
	f := newFixture(t)
	leaver := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), leaver, "of a laptop")
	if err != nil {
		t.Fatal(err)
	}
	put(t, f.Store, "x", "value", nebula.PutOptions{})
	to := newEmptyFixture(t)
	to.key, to.clock = f.key, f.clock
	s := to.open(t, nebula.Options{})
	id, err := s.InitSealed(t.Context(), keyringOf(t, f.Store), nebula.InitSealedOptions{Drop: []string{slot.ID}})
	if err != nil || id != *idOf(t, f.Store) {
		t.Fatal(id, err)
	}
	fresh := to.open(t, nebula.Options{})
	info := keysOf(t, fresh)
	if len(info.Slots) != 1 || len(info.Notes) != 1 || info.Generation != keysOf(t, f.Store).Generation+1 {
		t.Errorf("%+v", info)
	}
	if _, err := fresh.PutSealed(t.Context(), "x", sealed(t, f.Store, "x").Envelope, nebula.AdoptOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = to.open(t, nebula.Options{Keys: []nebula.Key{leaver}}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrWrongKey)
}

// If a keyring was lost, it can be put back over the credentials that it opens, and over
// no others.
func TestInitSealedOverRecords(t *testing.T) {
	f, stranger := newFixture(t), newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{})
	put(t, stranger.Store, "y", "theirs", nebula.PutOptions{})
	to := newEmptyFixture(t)
	to.key, to.clock = f.key, f.clock
	to.Store = to.open(t, nebula.Options{})
	if _, err := to.memory.Store(t.Context(), mustName(t, "x"), sealed(t, f.Store, "x").Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := to.InitSealed(t.Context(), keyringOf(t, stranger.open(t, nebula.Options{})), nebula.InitSealedOptions{})
	wantKind(t, err, nebula.ErrWrongKey)
	foreign := to.open(t, nebula.Options{Keys: []nebula.Key{stranger.key}})
	_, err = foreign.InitSealed(t.Context(), keyringOf(t, stranger.Store), nebula.InitSealedOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	if _, err := to.InitSealed(t.Context(), keyringOf(t, f.Store), nebula.InitSealedOptions{}); err != nil {
		t.Fatal(err)
	}
	if c := get(t, to.Store, "x"); string(c.Secret.Reveal()) != "value" {
		t.Error(c)
	}
}

func mustName(t *testing.T, id nebula.ID) nebula.Name {
	t.Helper()
	name, err := id.Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
