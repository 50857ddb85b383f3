package nebula_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
)

// If the backend has no room for a slot, it is refused before anything is written.
func TestKeyringWithoutRoom(t *testing.T) {
	config := memory.DefaultConfig()
	config.MaxRecordSize = 1500
	p, err := memory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	key := newKeyFile(t)
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = s.AddKey(t.Context(), newKeyFile(t), "a label")
	}
	wantKind(t, err, nebula.ErrTooLarge)
	info := keysOf(t, s)
	if int(info.Generation) != len(info.Slots) || len(info.Slots) < 2 || info.Size > 1500 || info.Size < 1000 {
		t.Errorf("%d slots in generation %d, %d bytes", len(info.Slots), info.Generation, info.Size)
	}
}

// TrySlot tries one slot with the keys at hand, and leaves the others alone.
func TestTrySlot(t *testing.T) {
	f, other := newFixture(t), newKeyFile(t)
	added, err := f.AddKey(t.Context(), other, "")
	if err != nil {
		t.Fatal(err)
	}
	first := keysOf(t, f.Store).Slots[0].ID
	wantKind(t, f.TrySlot(t.Context(), first), "")
	wantKind(t, f.TrySlot(t.Context(), added.ID), nebula.ErrWrongKey)
	wantKind(t, f.open(t, nebula.Options{Keys: []nebula.Key{f.key, other}}).TrySlot(t.Context(), added.ID), "")
	wantKind(t, f.TrySlot(t.Context(), "aaaaaaaa"), nebula.ErrNotFound)
}
