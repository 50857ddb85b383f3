package nebula_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func keysOf(t *testing.T, s *nebula.Store) nebula.KeyInfo {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil || !info.Authentic {
		t.Fatalf("keys: %+v, %v", info, err)
	}
	return info
}

func TestLabels(t *testing.T) {
	f := newFixture(t)
	first := keysOf(t, f.Store).Slots[0].ID
	second := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), second, `Zoë's "laptop"`)
	if err != nil {
		t.Fatal(err)
	}
	notes := keysOf(t, f.open(t, nebula.Options{})).Notes
	if len(notes) != 2 || notes[first].Label != "" || notes[slot.ID].Label != `Zoë's "laptop"` {
		t.Errorf("the notes: %v", notes)
	}
	for id, note := range notes {
		if note.AddedAt.IsZero() || note.AddedAt.After(f.clock.now()) {
			t.Errorf("slot %s was added at %v", id, note.AddedAt)
		}
	}

	before := keysOf(t, f.Store)
	wantKind(t, f.Label(t.Context(), slot.ID, notes[slot.ID].Label), "") // nothing changes
	if after := keysOf(t, f.Store); after.Generation != before.Generation {
		t.Error("the keyring was written for the label that it had")
	}
	wantKind(t, f.Label(t.Context(), first, "office"), "")
	wantKind(t, f.Label(t.Context(), slot.ID, ""), "")
	after := keysOf(t, f.open(t, nebula.Options{})).Notes
	if after[first].Label != "office" || after[slot.ID].Label != "" || after[first].AddedAt != notes[first].AddedAt {
		t.Errorf("the notes are %v", after)
	}
	if before.Notes[first].Label != "" {
		t.Error("notes that were returned have changed")
	}

	// A rotation keeps notes. A slot's note is removed with the slot.
	both := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, second}})
	if _, err := both.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if rotated := keysOf(t, f.Store).Notes; len(rotated) != 2 || rotated[first] != after[first] {
		t.Errorf("after a rotation the notes are %v", rotated)
	}
	wantKind(t, f.RemoveKey(t.Context(), slot.ID), "")
	if left := keysOf(t, f.Store).Notes; len(left) != 1 || left[first].Label != "office" {
		t.Errorf("after removing a slot the notes are %v", left)
	}
}

func TestLabelsRefused(t *testing.T) {
	f := newFixture(t)
	id := keysOf(t, f.Store).Slots[0].ID
	for _, label := range []string{"a\nb", "\x1b[31m", strings.Repeat("é", 65), "\xff"} {
		wantKind(t, f.Label(t.Context(), id, label), nebula.ErrUsage)
		_, err := f.AddKey(t.Context(), newKeyFile(t), label)
		wantKind(t, err, nebula.ErrUsage)
	}
	wantKind(t, f.Label(t.Context(), id, strings.Repeat("é", 64)), "")
	wantKind(t, f.Label(t.Context(), "aaaaaaaa", "x"), nebula.ErrNotFound)
	if info := keysOf(t, f.open(t, nebula.Options{})); len(info.Slots) != 1 {
		t.Errorf("there are %d slots", len(info.Slots))
	}
}

// The backend does not show labels. Without a key, nobody learns whether there are any.
func TestLabelsAreSealed(t *testing.T) {
	f := newFixture(t)
	if _, err := f.AddKey(t.Context(), newKeyFile(t), "grandmother"); err != nil {
		t.Fatal(err)
	}
	record, err := f.provider.Retrieve(t.Context(), nebula.KeyringName())
	if size := keysOf(t, f.Store).Size; err == nil && size != len(record.Envelope.Bytes()) {
		t.Errorf("the record is said to have %d bytes", size)
	}
	if err != nil || bytes.Contains(record.Envelope.Bytes(), []byte("grandmother")) {
		t.Errorf("the record shows the label, or %v", err)
	}
	info, err := f.open(t, nebula.Options{Keys: []nebula.Key{newKeyFile(t)}}).Keys(t.Context())
	if err != nil || info.Authentic || info.Notes != nil {
		t.Errorf("without a key that fits: %+v, %v", info, err)
	}
}
