package nebula_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Each slot has a salt of its own, and a new one when it is made anew.
func TestSaltsAreFresh(t *testing.T) {
	f, key := newFixture(t), newServiceKey()
	seen := map[[16]byte]bool{{}: true}
	check := func(slot nebula.Slot) {
		if seen[slot.Salt] {
			t.Errorf("the salt %x is used twice", slot.Salt)
		}
		seen[slot.Salt] = true
	}
	check(keysOf(t, f.Store).Slots[0])
	for _, key := range []nebula.Key{newKeyFile(t), key} {
		slot, err := f.AddKey(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		check(slot)
	}
	info := keysOf(t, f.Store)
	s := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, key}})
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{info.Slots[1].ID}}); err != nil {
		t.Fatal(err)
	}
	check(keysOf(t, f.Store).Slots[1])
}

// If a key makes no slot, the caller learns why.
func TestKeyThatMakesNoSlot(t *testing.T) {
	f := newFixture(t)
	before := keysOf(t, f.Store)
	_, err := f.AddKey(t.Context(), &nebula.KeyFile{Path: t.TempDir() + "/none"}, "")
	wantKind(t, err, nebula.ErrInvalidConfig)
	if after := keysOf(t, f.Store); after.Generation != before.Generation {
		t.Errorf("the keyring is %+v", after)
	}
}

// If the record cannot be read, the call does not wait for the keyring that it reads at
// the same time. It cancels that read, and returns after it has ended.
func TestReadBesideThatIsNotNeeded(t *testing.T) {
	f := newFixture(t)
	var ended atomic.Bool
	p := f.connect(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		switch {
		case c.Op != provider.OpRetrieve:
			return next(ctx)
		case c.Name.IsKeyring():
			<-ctx.Done()
			time.Sleep(20 * time.Millisecond) // a read takes a moment to end
			ended.Store(true)
			return context.Cause(ctx)
		}
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "you may not"}
	}))
	for name, use := range map[string]func(*nebula.Store) error{
		"get": func(s *nebula.Store) error { _, err := s.Get(t.Context(), "x"); return err },
		"put": func(s *nebula.Store) error {
			_, err := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{})
			return err
		},
	} {
		ended.Store(false)
		s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{f.key}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- use(s) }()
		select {
		case err := <-done:
			if !errors.Is(err, nebula.ErrPermissionDenied) || !ended.Load() {
				t.Errorf("%s: %v; the read of the keyring has ended: %t", name, err, ended.Load())
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s waits for the keyring", name)
		}
	}
}

// Between a read of the keyring and a look at the pin, another process replaces the
// data key, destroys the old one and moves the pin. The keyring is then read again,
// and fits. If it has not changed, it is refused after that second read.
func TestPinThatMovesWhileTheKeyringIsRead(t *testing.T) {
	r, pins := newRemote(), &heldPins{}
	r.description.ComparesKeyring = true
	_, key := r.initialised(t)
	options := nebula.Options{Keys: []nebula.Key{key}, Pins: pins}
	admin := r.open(t, options)
	put(t, admin, "x", "v", nebula.PutOptions{})
	old := keysOf(t, admin).ID
	s := r.open(t, options)
	once, reads := true, 0
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if !name.IsKeyring() {
			return nil
		}
		reads++
		if once {
			once = false
			if _, err := admin.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
				t.Error(err)
			}
			wantKind(t, admin.DestroyKey(t.Context(), old, nebula.DestroyOptions{}), "")
		}
		return nil
	}
	get(t, s, "x")

	pins.pins["remote:a"] = nebula.Pin{KeyID: nebula.KeyID{1}, Generation: 1}
	reads = 0
	wantKind(t, r.open(t, options).Unlock(t.Context()), nebula.ErrUntrustedKey)
	if reads != 2 {
		t.Errorf("a keyring that stays was read %d times", reads)
	}
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if reads--; reads < 1 {
			return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "it is away"}
		}
		return nil
	}
	wantKind(t, r.open(t, options).Unlock(t.Context()), nebula.ErrUntrustedKey)
}

// If the same keyring is stored again, it has another version. A process that held it
// writes on condition of the new version.
func TestKeyringThatIsStoredAgain(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	record, err := r.Retrieve(t.Context(), nebula.KeyringName())
	if err == nil {
		_, err = r.Store(t.Context(), nebula.KeyringName(), record.Envelope, nebula.StoreOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
		t.Error(err)
	}
}

// If a kept data key is known to be the store's, no slot is opened. A damaged keyring
// is still noticed.
func TestKeptKeyOpensNoSlot(t *testing.T) {
	f, pins, kept := newFixture(t), &heldPins{}, keptKeys{}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	get(t, f.pinned(t, nebula.Options{Pins: pins}), "x")
	get(t, f.pinned(t, nebula.Options{Pins: pins, DataKeys: kept}), "x")
	id := keysOf(t, f.Store).ID
	key := &heldBack{Key: f.key}
	get(t, f.pinned(t, nebula.Options{Keys: []nebula.Key{key}, DataKeys: kept}), "x") // kept by a process with a pin
	for address, k := range kept {
		k.Pinned = false
		kept[address] = k
	}
	get(t, f.pinned(t, nebula.Options{Keys: []nebula.Key{key}, DataKeys: kept, TrustedKey: &id}), "x") // the configuration names it
	if key.asked.Load() > 0 {
		t.Error("a slot was opened")
	}
	get(t, f.pinned(t, nebula.Options{Keys: []nebula.Key{key}, DataKeys: kept}), "x")
	if key.asked.Load() == 0 {
		t.Error("a key that nobody vouches for was enough")
	}

	record, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	edited := nebula.EditSlot(t, record.Envelope, 0, true, func(s *nebula.Slot) { s.Salt[0]++ })
	damaged, err := nebula.ParseEnvelope(nebula.KeyringName(), edited)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), damaged, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.pinned(t, nebula.Options{Keys: noKeys(), DataKeys: kept, TrustedKey: &id}).Unlock(t.Context()), nebula.ErrCorrupted)
}
