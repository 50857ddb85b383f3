package nebula_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// The backend says that the data key was replaced, and the keyring cannot be read.
// Nothing is stored, and the error says that the keyring cannot be read.
func TestPutThatCannotReadTheNewKeyring(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	r.store = func(nebula.Name, nebula.StoreOptions) error {
		r.keyringAway()
		return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged}
	}
	version, err := s.Put(t.Context(), "x", value("w"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUnavailable)
	if version != "" {
		t.Errorf("it was stored as %s", version)
	}
}

// The caller's own condition is tried once: a second try could not succeed.
func TestConditionThatWasAskedForIsTriedOnce(t *testing.T) {
	f := newFixture(t)
	other := f.open(t, nebula.Options{})
	put(t, other, "x", "0", nebula.PutOptions{})
	f.calls.take()
	_, err := f.Put(t.Context(), "x", value("mine"), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrAlreadyExists)
	if made := f.calls.take(); fmt.Sprint(made) != "[store x]" {
		t.Errorf("with IfAbsent: %v", made)
	}
	current := get(t, f.Store, "x")
	f.calls.take()
	f.calls.step(func(call provider.Call) {
		if call.Op == provider.OpStore {
			f.calls.step(nil)
			put(t, other, "x", "theirs", nebula.PutOptions{})
		}
	})
	_, err = f.Put(t.Context(), "x", value("mine"), nebula.PutOptions{IfVersion: current.Version})
	wantKind(t, err, nebula.ErrConflict)
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve x retrieve x store x store x]" { // with the other's calls
		t.Errorf("with IfVersion: %v", made)
	}
}

// A credential that the caller passes in is not wiped.
func TestPreviousIsNotWiped(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "old", nebula.PutOptions{Tags: map[string]string{"a": "b"}})
	previous := get(t, f.Store, "x")
	put(t, f.Store, "x", "new", nebula.PutOptions{Previous: &previous, Tags: map[string]string{"c": "d"}})
	if string(previous.Secret.Reveal()) != "old" || len(previous.Metadata.Tags) != 1 {
		t.Errorf("the caller's credential is now %q, with tags %v", previous.Secret.Reveal(), previous.Metadata.Tags)
	}
}

// A value that a write read for itself is wiped.
func TestWhatAWriteFoundIsWiped(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "old", nebula.PutOptions{})
	found, err := nebula.FoundByUpdate(t.Context(), f.Store, "x", value("new"))
	if err != nil || found.Len() > 0 {
		t.Errorf("%q, %v", found.Reveal(), err)
	}
}

// Only a lost race is tried again here: other failures the provider has tried again.
func TestFailureIsNoRace(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	tries := 0
	r.store = func(nebula.Name, nebula.StoreOptions) error {
		tries++
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "it is away"}
	}
	_, err := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUnavailable)
	if tries != 1 {
		t.Errorf("it was tried %d times", tries)
	}
}

// Only Force replaces a record that cannot be read, and only if the fault is in the
// record, not on the way to it.
func TestForceIsForTheRecord(t *testing.T) {
	unreadable := []nebula.Kind{nebula.ErrCorrupted, nebula.ErrWrongKey, nebula.ErrUnsupportedVersion, nebula.ErrTooLarge, nebula.ErrRolledBack}
	for _, kind := range append(unreadable, nebula.ErrUnavailable, nebula.ErrPermissionDenied) {
		r := newRemote()
		s, _ := r.initialised(t)
		put(t, s, "x", "old", nebula.PutOptions{})
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			if name.IsKeyring() {
				return nil
			}
			return &nebula.Error{Kind: kind, Message: "that is why"}
		}
		overRecord := slices.Contains(unreadable, kind)
		_, err := s.Put(t.Context(), "x", value("new"), nebula.PutOptions{})
		wantKind(t, err, kind)
		if err == nil || strings.Contains(err.Error(), "its metadata would be lost: that is why") != overRecord {
			t.Errorf("%s: %v", kind, err)
		}
		_, forced := s.Put(t.Context(), "x", value("new"), nebula.PutOptions{Force: true})
		r.retrieved = nil
		want := "old"
		if overRecord {
			want, kind = "new", ""
		}
		wantKind(t, forced, kind)
		if c := get(t, s, "x"); string(c.Secret.Reveal()) != want {
			t.Errorf("%s: there is %q", kind, c.Secret.Reveal())
		}
	}
}

// Force replaces a record that opens under no key only on condition that it has not
// changed. If another writer has replaced it meanwhile, that writer's tags are kept.
func TestForceLosesNoWriteThatComesBetween(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "a", "v", nebula.PutOptions{})
	swap(t, f.memory, "a", "b")
	other := f.open(t, nebula.Options{})
	f.calls.step(func(call provider.Call) {
		if call.Op == provider.OpStore {
			f.calls.step(nil)
			put(t, other, "b", "theirs", nebula.PutOptions{Force: true, Tags: map[string]string{"their": "tag"}})
		}
	})
	put(t, f.Store, "b", "mine", nebula.PutOptions{Force: true})
	if c := get(t, f.Store, "b"); string(c.Secret.Reveal()) != "mine" || c.Metadata.Tags["their"] != "tag" {
		t.Errorf("there is %q, with tags %v", c.Secret.Reveal(), c.Metadata.Tags)
	}
}

// If the keyring is damaged, the error says so, and says nothing about the record.
func TestPutUnderADamagedKeyring(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	ring, err := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := newFixture(t).memory.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	edited := nebula.JoinSlots(t, ring.Envelope, strangers.Envelope)
	damaged, err := nebula.ParseEnvelope(nebula.KeyringName(), edited)
	if err == nil {
		_, err = f.memory.Store(t.Context(), nebula.KeyringName(), damaged, nebula.StoreOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		_, err = f.open(t, nebula.Options{}).Put(t.Context(), "x", value("w"), nebula.PutOptions{Force: force})
		wantKind(t, err, nebula.ErrCorrupted)
		if err == nil || !strings.Contains(err.Error(), "the keyring") || strings.Contains(err.Error(), "metadata") {
			t.Errorf("force %t: %v", force, err)
		}
	}
}

// A put with a condition on a version makes no store.
func TestConditionMakesNoStore(t *testing.T) {
	f := newEmptyFixture(t)
	asked := false
	s := f.open(t, nebula.Options{FirstKey: func(context.Context) (nebula.Key, error) {
		asked = true
		return f.key, nil
	}})
	_, err := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{IfVersion: "1"})
	if err == nil || asked {
		t.Errorf("%v; a key was made: %t", err, asked)
	}
	if found, _ := f.memory.Exists(t.Context(), nebula.KeyringName()); found {
		t.Error("a store was made")
	}
}

// A record of the largest size is stored. One byte more, and it is refused before it is
// sent.
func TestLargestRecord(t *testing.T) {
	r := newRemote()
	s, key := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	name, _ := nebula.ID("x").Name()
	record, err := r.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	stores := 0
	r.store = func(nebula.Name, nebula.StoreOptions) error { stores++; return nil }
	for _, room := range []int{-1, 0} {
		r.description.MaxRecordSize = len(record.Envelope.Bytes()) + room
		limited := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
		_, err := limited.Put(t.Context(), "y", value("v"), nebula.PutOptions{})
		if room < 0 {
			wantKind(t, err, nebula.ErrTooLarge)
			if stores > 0 {
				t.Error("it was sent")
			}
		} else if err != nil {
			t.Error(err)
		}
	}
}

// The first put makes the store, unless another process makes it first, at any moment.
func TestFirstPutThatIsOvertaken(t *testing.T) {
	denied := &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "no key file can be made here"}
	for name, c := range map[string]struct {
		listed   bool // the other makes the store, and puts, before the list
		first    bool // the other makes it while the key is made
		firstErr error
		noSlot   bool
		want     nebula.Kind
		made     bool
	}{
		"alone":                  {made: true},
		"made before the list":   {listed: true},
		"made while a key is":    {first: true},
		"no key can be made":     {firstErr: denied, want: nebula.ErrPermissionDenied},
		"the key cannot be read": {noSlot: true, want: nebula.ErrInvalidConfig},
	} {
		r := newRemote()
		key := newKeyFile(t)
		other := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
		made := false
		s := r.open(t, nebula.Options{
			Keys:        []nebula.Key{key},
			Initialised: func() { made = true },
			FirstKey: func(context.Context) (nebula.Key, error) {
				if c.first {
					if _, err := other.Init(t.Context(), key); err != nil {
						t.Error(err)
					}
				}
				if c.noSlot {
					return &nebula.KeyFile{Path: t.TempDir() + "/none"}, nil
				}
				return key, c.firstErr
			},
		})
		if c.listed {
			r.strangers = []nebula.Entry{{ID: "theirs"}} // the first list names it
		}
		r.listed = func(context.Context) error {
			if c.listed {
				r.listed, r.strangers = nil, nil
				if _, err := other.Init(t.Context(), key); err != nil {
					t.Error(err)
				}
				put(t, other, "theirs", "v", nebula.PutOptions{})
			}
			return nil
		}
		_, err := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{IfAbsent: true}) // tried once
		wantKind(t, err, c.want)
		if made != c.made {
			t.Errorf("%s: it says that it made the store: %t", name, made)
		}
		if c.want == "" {
			get(t, other, "x")
		}
	}
}
