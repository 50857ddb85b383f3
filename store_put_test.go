package nebula_test

import (
	"fmt"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// The backend says that the data key was replaced, and the keyring cannot be read:
// that is why nothing is stored.
func TestPutThatCannotReadTheNewKeyring(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	r.store = func(nebula.Name, nebula.StoreOptions) error {
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			if name.IsKeyring() {
				return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "it is away"}
			}
			return nil
		}
		return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged}
	}
	version, err := s.Put(t.Context(), "x", value("w"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUnavailable)
	if version != "" {
		t.Errorf("it was stored as %s", version)
	}
}

// A condition that the caller asked for is tried once: it does not come to hold.
func TestConditionThatWasAskedForIsTriedOnce(t *testing.T) {
	f := newFixture(t)
	other := f.open(t, nebula.Options{})
	put(t, other, "x", "0", nebula.PutOptions{})
	f.calls.take()
	_, err := f.Put(t.Context(), "x", value("mine"), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrAlreadyExists)
	if made := f.calls.take(); fmt.Sprint(made) != "[store x]" {
		t.Errorf("if it is absent: %v", made)
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
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve x retrieve x store x store x]" { // the other's, too
		t.Errorf("if it is of one version: %v", made)
	}
}

// What a caller read stays the caller's.
func TestPreviousIsNotWiped(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "old", nebula.PutOptions{Tags: map[string]string{"a": "b"}})
	previous := get(t, f.Store, "x")
	put(t, f.Store, "x", "new", nebula.PutOptions{Previous: &previous, Tags: map[string]string{"c": "d"}})
	if string(previous.Secret.Reveal()) != "old" || len(previous.Metadata.Tags) != 1 {
		t.Errorf("it is now %q, with tags %v", previous.Secret.Reveal(), previous.Metadata.Tags)
	}
}

// What a write read for its own sake is wiped.
func TestWhatAWriteFoundIsWiped(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "old", nebula.PutOptions{})
	found, err := nebula.FoundByUpdate(t.Context(), f.Store, "x", value("new"))
	if err != nil || found.Len() > 0 {
		t.Errorf("%q, %v", found.Reveal(), err)
	}
}

// A failure that is no race is not tried again: the provider has done that.
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
