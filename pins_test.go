package nebula_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// heldPins keeps pins in memory.
type heldPins struct {
	mu       sync.Mutex
	pins     map[string]nebula.Pin
	readOnly bool
	damaged  bool
}

func (p *heldPins) Load(address string) (nebula.Pin, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, found := p.pins[address]
	return pin, found, nil
}

func (p *heldPins) Update(address string, change func(nebula.Pin, bool) (nebula.Pin, bool)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readOnly {
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "read-only"}
	}
	if p.damaged {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the file is damaged"}
	}
	old, found := p.pins[address]
	pin, keep := change(old, found)
	if !keep {
		delete(p.pins, address)
		return nil
	}
	if p.pins == nil {
		p.pins = make(map[string]nebula.Pin)
	}
	p.pins[address] = pin
	return nil
}

// here gives every provider of a test one address, as if an attacker had replaced one
// backend by another.
type here struct{ nebula.Provider }

func (h here) Unwrap() nebula.Provider { return h.Provider }
func (h here) Connect(ctx context.Context) error {
	c, _ := nebula.As[nebula.Connector](h.Provider)
	return c.Connect(ctx)
}
func (h here) State() nebula.State { return nebula.StateConnected }
func (h here) Close() error        { return nil }
func (h here) Describe() nebula.Description {
	d, _ := nebula.As[nebula.Describer](h.Provider)
	description := d.Describe()
	description.Address = "here"
	return description
}

func (f *fixture) pinned(t *testing.T, options nebula.Options) *nebula.Store {
	t.Helper()
	if options.Keys == nil {
		options.Keys = []nebula.Key{f.key}
	}
	options.Now = f.clock.now
	s, err := nebula.Open(t.Context(), here{f.provider}, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everyUse calls everything that needs the key.
func everyUse(t *testing.T, s *nebula.Store) map[string]error {
	ctx := t.Context()
	_, get := s.Get(ctx, "x")
	_, put := s.Put(ctx, "x", nebula.NewSecret([]byte("secret")), nebula.PutOptions{})
	_, fresh := s.Put(ctx, "fresh", nebula.NewSecret([]byte("secret")), nebula.PutOptions{IfAbsent: true})
	_, tag := s.Tag(ctx, "x", map[string]string{"a": "b"}, nil)
	_, add := s.AddKey(ctx, newKeyFile(t), "")
	_, rotate := s.Rotate(ctx, nebula.RotateOptions{})
	return map[string]error{"get": get, "put": put, "put new": fresh, "tag": tag, "add a key": add, "rotate": rotate}
}

// An attacker who knows the same key file replaces the store's keyring by one of their
// own: an administrator of the backend, who has the key file for another store.
func TestReplacedKeyring(t *testing.T) {
	victim := newFixture(t)
	pins := &heldPins{}
	put(t, victim.pinned(t, nebula.Options{Pins: pins}), "x", "v", nebula.PutOptions{})
	info, _ := victim.Keys(t.Context())
	theirs := newEmptyFixture(t)
	theirs.key = victim.key
	evil := theirs.open(t, nebula.Options{})
	if _, err := evil.Init(t.Context(), victim.key); err != nil {
		t.Fatal(err)
	}
	put(t, evil, "x", "theirs", nebula.PutOptions{})

	for name, options := range map[string]nebula.Options{
		"known_stores":   {Pins: pins},
		"the key's id":   {TrustedKey: &info.ID},
		"both, of which": {TrustedKey: &info.ID, Pins: &heldPins{}},
	} {
		for what, err := range everyUse(t, theirs.pinned(t, options)) {
			wantKind(t, err, nebula.ErrUntrustedKey)
			if err == nil {
				t.Errorf("%s: %s succeeded", name, what)
			}
		}
	}
	if ids := list(t, evil, nebula.ListOptions{}); fmt.Sprint(ids) != "[x]" {
		t.Errorf("something was written under the attacker's key: %v", ids)
	}
	if c := get(t, evil, "x"); string(c.Secret.Reveal()) != "theirs" {
		t.Error("the attacker's record was replaced")
	}
	// Without a pin the store is trusted on first use.
	if c := get(t, theirs.pinned(t, nebula.Options{Pins: &heldPins{}}), "x"); string(c.Secret.Reveal()) != "theirs" {
		t.Error("without a pin the store is not trusted on first use")
	}
	err := everyUse(t, theirs.pinned(t, nebula.Options{Pins: pins}))["get"]
	theirInfo, _ := evil.Keys(t.Context())
	for _, want := range []string{"HAS CHANGED", info.ID.String(), theirInfo.ID.String(), "nebula key trust", "here"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
}

func TestKeyringBroughtBack(t *testing.T) {
	f := newFixture(t)
	pins := &heldPins{}
	s := f.pinned(t, nebula.Options{Pins: pins})
	put(t, s, "x", "v", nebula.PutOptions{})
	old, err := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	leaver := newKeyFile(t)
	slot, err := s.AddKey(t.Context(), leaver, "")
	if err != nil {
		t.Fatal(err)
	}
	withLeaver, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	if err := s.RemoveKey(t.Context(), slot.ID); err != nil {
		t.Fatal(err)
	}
	for _, older := range []nebula.Record{old, withLeaver} {
		if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), older.Envelope, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		for what, err := range everyUse(t, f.pinned(t, nebula.Options{Pins: pins})) {
			if nebula.KindOf(err) != nebula.ErrRolledBack {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	// If a backup was restored on purpose, trust with the key's id accepts it.
	info, _ := f.Keys(t.Context())
	fresh := f.pinned(t, nebula.Options{Pins: pins})
	other := info.ID
	other[0] ^= 1
	wantKind(t, fresh.Trust(t.Context(), other), nebula.ErrUntrustedKey)
	wantKind(t, fresh.Trust(t.Context(), info.ID), "")
	get(t, f.pinned(t, nebula.Options{Pins: pins}), "x")
}

func TestPinFollowsARotation(t *testing.T) {
	f := newFixture(t)
	pins := &heldPins{}
	reader := f.pinned(t, nebula.Options{Pins: pins})
	get(t, func() *nebula.Store { put(t, reader, "x", "v", nebula.PutOptions{}); return reader }(), "x")
	before := pins.pins["memory:here"]
	old, _ := f.Keys(t.Context())
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	get(t, f.pinned(t, nebula.Options{Pins: pins}), "x")
	after := pins.pins["memory:here"]
	if before.KeyID != old.ID || after.KeyID != result.KeyID || after.Generation <= before.Generation {
		t.Errorf("the pin went from %+v to %+v", before, after)
	}
	// The configuration may still name the retired key.
	get(t, f.pinned(t, nebula.Options{TrustedKey: &old.ID}), "x")
	// After that key is destroyed, the keyring no longer proves that it follows from it.
	if err := f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.pinned(t, nebula.Options{TrustedKey: &old.ID}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUntrustedKey)
}

func TestPinWithoutKeyring(t *testing.T) {
	f := newFixture(t)
	pins := &heldPins{}
	put(t, f.pinned(t, nebula.Options{Pins: pins}), "x", "v", nebula.PutOptions{})
	empty := newEmptyFixture(t)
	s := empty.pinned(t, nebula.Options{Pins: pins, FirstKey: func(context.Context) (nebula.Key, error) { return empty.key, nil }})
	_, err := s.Put(t.Context(), "x", nebula.NewSecret(nil), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = s.Init(t.Context(), empty.key)
	wantKind(t, err, nebula.ErrCorrupted)
	wantKind(t, s.Forget(), "")
	_, err = s.Init(t.Context(), empty.key)
	wantKind(t, err, "")
}

func TestPinsThatCannotBeWritten(t *testing.T) {
	f := newFixture(t)
	var log strings.Builder
	s := f.pinned(t, nebula.Options{Pins: &heldPins{readOnly: true}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	put(t, s, "x", "v", nebula.PutOptions{})
	if _, err := s.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	// If the configuration names the key, nothing is missing, and there is no warning.
	info, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log.Reset()
	s = f.pinned(t, nebula.Options{Pins: &heldPins{readOnly: true}, TrustedKey: &info.ID, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := s.Get(t.Context(), "x"); err != nil || log.Len() > 0 {
		t.Errorf("%v, and the log says: %s", err, log.String())
	}
}

// Several processes rotate and add keys at once. Their pins never refuse each other's
// keyrings.
func TestPinsUnderConcurrentChanges(t *testing.T) {
	f := newFixture(t)
	pins := &heldPins{}
	put(t, f.pinned(t, nebula.Options{Pins: pins}), "x", "v", nebula.PutOptions{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				s := f.pinned(t, nebula.Options{Pins: pins})
				slot, err := s.AddKey(t.Context(), f.key, "")
				if err == nil {
					err = s.RemoveKey(t.Context(), slot.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := f.pinned(t, nebula.Options{Pins: pins}).Get(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseKeyID(t *testing.T) {
	good := "0123456789abcdef0123456789abcdef"
	if id, err := nebula.ParseKeyID(good); err != nil || id.String() != good {
		t.Error(err)
	}
	for _, bad := range []string{"", good[1:], good + "0", strings.ToUpper(good), strings.Replace(good, "f", "g", 1)} {
		_, err := nebula.ParseKeyID(bad)
		wantKind(t, err, nebula.ErrUsage)
	}
}

// The same with a passphrase: anyone who knows it, because it opens another store of
// theirs, can make a keyring that it opens.
func TestReplacedKeyringOfAPassphrase(t *testing.T) {
	words := passphrase("correct horse battery")
	words.KDF = nebula.SlotPBKDF2
	victim, theirs := newEmptyFixture(t), newEmptyFixture(t)
	pins := &heldPins{}
	s := victim.pinned(t, nebula.Options{Pins: pins, Keys: []nebula.Key{words}})
	if _, err := s.Init(t.Context(), words); err != nil {
		t.Fatal(err)
	}
	put(t, s, "x", "v", nebula.PutOptions{})
	evil := theirs.open(t, nebula.Options{Keys: []nebula.Key{words}})
	if _, err := evil.Init(t.Context(), words); err != nil {
		t.Fatal(err)
	}
	put(t, evil, "x", "theirs", nebula.PutOptions{})
	for what, err := range everyUse(t, theirs.pinned(t, nebula.Options{Pins: pins, Keys: []nebula.Key{words}})) {
		if nebula.KindOf(err) != nebula.ErrUntrustedKey {
			t.Errorf("%s: %v", what, err)
		}
	}
	if c := get(t, evil, "x"); string(c.Secret.Reveal()) != "theirs" {
		t.Error("something was written under the attacker's key")
	}
}

// A slot was inserted, or put back after its removal, and the plain hash of the list
// corrected. The store notices it, and a rotation never wraps a key for that slot.
func TestEditedListOfSlots(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	leaver := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), leaver, "")
	if err != nil {
		t.Fatal(err)
	}
	with, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	if err := f.RemoveKey(t.Context(), slot.ID); err != nil {
		t.Fatal(err)
	}
	without, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	stranger := newFixture(t)
	strangers, _ := stranger.memory.Retrieve(t.Context(), nebula.KeyringName())
	for name, source := range map[string]nebula.Record{"brought back": with, "injected": strangers} {
		edited, err := nebula.ParseEnvelope(nebula.KeyringName(), nebula.JoinSlots(t, without.Envelope, source.Envelope))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), edited, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		for what, err := range everyUse(t, f.open(t, nebula.Options{Keys: []nebula.Key{f.key, leaver, stranger.key}})) {
			if nebula.KindOf(err) != nebula.ErrCorrupted {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// While a process runs, its keyring is replaced by that of another store which the same
// key opens, or by an older copy of its own. There are no pins: the process knows only
// what it has seen.
func TestKeyringReplacedWhileAProcessRuns(t *testing.T) {
	f, theirs := newFixture(t), newEmptyFixture(t)
	if _, err := theirs.Init(t.Context(), f.key); err != nil {
		t.Fatal(err)
	}
	for range 9 { // so that its generation is later, too
		if _, err := theirs.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
			t.Fatal(err)
		}
	}
	evil, _ := theirs.memory.Retrieve(t.Context(), nebula.KeyringName())
	old, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	if _, err := f.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
		t.Fatal(err)
	}
	newest, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	for want, r := range map[nebula.Kind]nebula.Record{nebula.ErrUntrustedKey: evil, nebula.ErrRolledBack: old, "": newest} {
		if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), r.Envelope, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		f.clock.advance(61 * time.Second)
		_, err := f.Put(t.Context(), "x", value("v"), nebula.PutOptions{})
		wantKind(t, err, want)
		_, err = f.Put(t.Context(), "new", value("v"), nebula.PutOptions{Force: true})
		wantKind(t, err, want)
	}
}

// If a key id is configured, the pin still counts: a keyring with a removed slot put
// back is refused.
func TestConfiguredKeyAndPin(t *testing.T) {
	f, pins := newFixture(t), &heldPins{}
	info, _ := f.Keys(t.Context())
	options := nebula.Options{TrustedKey: &info.ID, Pins: pins}
	removed := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), removed, "")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	wantKind(t, f.RemoveKey(t.Context(), slot.ID), "")
	put(t, f.pinned(t, options), "x", "v", nebula.PutOptions{})

	if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), before.Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.pinned(t, options).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
	wantKind(t, f.pinned(t, options).Trust(t.Context(), info.ID), "")
	get(t, f.pinned(t, options), "x")

	wantKind(t, f.pinned(t, options).RemoveKey(t.Context(), slot.ID), "")
	// After two rotations the pin names a key that the older keyring does not have. The
	// older keyring has the configured key, and is refused nevertheless.
	for range 2 {
		if _, err := f.pinned(t, options).Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.memory.Store(t.Context(), nebula.KeyringName(), before.Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.pinned(t, options).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)

	// The configuration wins over an old pin of another store.
	pins.pins = map[string]nebula.Pin{"memory:here": {KeyID: nebula.KeyID{1}, Generation: 1}}
	if _, err := f.pinned(t, options).Exists(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	wantKind(t, f.pinned(t, options).Unlock(t.Context()), "")
	if pin := pins.pins["memory:here"]; pin.KeyID != info.ID {
		t.Errorf("the pin is %+v", pin)
	}
	// A stranger's key is refused, whatever the pin says.
	stranger := nebula.Options{TrustedKey: &nebula.KeyID{1}, Pins: pins}
	wantKind(t, f.pinned(t, stranger).Unlock(t.Context()), nebula.ErrUntrustedKey)
	wantKind(t, f.pinned(t, stranger).Trust(t.Context(), info.ID), nebula.ErrUntrustedKey)
}
