package nebula_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// While a rotation runs, records under the old key are read. After it has ended, they
// are copies of an older state, and only the history shows them.
func TestRecordsUnderARetiredKey(t *testing.T) {
	f := newFixture(t)
	first := put(t, f.Store, "x", "old", nebula.PutOptions{})
	reader := f.open(t, nebula.Options{})
	get(t, reader, "x") // holds the old keyring

	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, true); err != nil {
		t.Fatal(err)
	}
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "old" {
		t.Errorf("while rotating: %q", c.Secret.Reveal())
	}
	put(t, f.Store, "y", "new", nebula.PutOptions{})
	if c := get(t, reader, "y"); string(c.Secret.Reveal()) != "new" {
		t.Errorf("a reader that held the old keyring got %q", c.Secret.Reveal())
	}

	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, false); err != nil {
		t.Fatal(err)
	}
	_, err := f.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrCorrupted)
	if err == nil || !strings.Contains(err.Error(), "retired key") {
		t.Errorf("the error does not distinguish a retired key from damage: %v", err)
	}
	if c, err := f.GetVersion(t.Context(), "x", first); err != nil || string(c.Secret.Reveal()) != "old" {
		t.Errorf("the history gave %q, %v", c.Secret.Reveal(), err)
	}
}

// A writer with an old keyring writes nothing under the old key: the provider notices,
// and the value is sealed again.
func TestWriterWithAnOldKeyring(t *testing.T) {
	f := newFixture(t)
	writer := f.open(t, nebula.Options{})
	put(t, writer, "x", "1", nebula.PutOptions{})
	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, false); err != nil {
		t.Fatal(err)
	}
	put(t, writer, "y", "2", nebula.PutOptions{})
	put(t, writer, "z", "3", nebula.PutOptions{IfAbsent: true})
	for id, want := range map[nebula.ID]string{"y": "2", "z": "3"} {
		if c := get(t, f.Store, id); string(c.Secret.Reveal()) != want {
			t.Errorf("%s is %q", id, c.Secret.Reveal())
		}
	}
}

// A reader that saw only the beginning of a rotation does not accept records under the
// old key for ever, because the key may have been destroyed.
func TestReaderDoesNotTrustAnOldKeyringThatRotates(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "old", nebula.PutOptions{})
	stale := f.record(t, "x")
	old, _ := f.Keys(t.Context())
	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, true); err != nil {
		t.Fatal(err)
	}
	reader := f.open(t, nebula.Options{})
	get(t, reader, "x") // the keyring that it holds is rotating
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}); err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("x").Name()
	f.unchecked(t, name, stale.Envelope)
	f.clock.advance(time.Minute)
	c, err := reader.Get(t.Context(), "x")
	if err == nil {
		t.Errorf("a record under a destroyed key opens as %q", c.Secret.Reveal())
	}
	wantKind(t, err, nebula.ErrWrongKey)
}
