package nebula

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula/internal/seal"
)

// A keyring with another data key is a later state of the same store only if the
// slot that opened it is one of before, in all that is its own.
func TestWhatContinuesAStore(t *testing.T) {
	slot := Slot{ID: "abcdefgh", Kind: SlotKeyFile, Salt: newSalt()}
	before := &keyring{current: seal.GenerateKey(), slots: []slotRecord{{Slot: slot}}}
	for name, c := range map[string]struct {
		change func(*Slot)
		want   bool
	}{
		"the same slot": {func(*Slot) {}, true},
		"another id":    {func(s *Slot) { s.ID = "abcdefgi" }, false},
		"another kind":  {func(s *Slot) { s.Kind = SlotKeychain }, false},
		"another salt":  {func(s *Slot) { s.Salt[0]++ }, false},
		"no slot":       {func(s *Slot) { *s = Slot{} }, false},
	} {
		by := slot
		c.change(&by)
		after := &keyring{current: seal.GenerateKey(), openedBy: by}
		if got := after.continues(before); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		after.retired = []*seal.Key{seal.GenerateKey(), before.current}
		if !after.continues(before) {
			t.Errorf("%s, and the key of before: it does not continue", name)
		}
	}
	public := Slot{ID: "abcdefgh", Kind: "recipient", Salt: newSalt()}
	before.slots = append(before.slots, slotRecord{Slot: public})
	if (&keyring{current: seal.GenerateKey(), openedBy: public}).continues(before) {
		t.Error("a slot that anyone can make continues a store")
	}
}

// A slot is wrapped for only as it was asked for.
func TestWrapRefusesAnotherSlot(t *testing.T) {
	want := Slot{ID: "abcdefgh", Kind: SlotKeyFile, Salt: newSalt()}
	secret, key := make([]byte, seal.KeySize), seal.GenerateKey()
	if _, err := wrap(want, want, secret, key); err != nil {
		t.Fatal(err)
	}
	id, kind, salt := want, want, want
	id.ID, kind.Kind, salt.Salt = "abcdefgi", SlotArgon2id, newSalt()
	for name, c := range map[string]struct {
		slot   Slot
		secret []byte
	}{
		"another id":    {id, secret},
		"another kind":  {kind, secret},
		"another salt":  {salt, secret},
		"no secret":     {want, nil},
		"a short one":   {want, secret[1:]},
		"one too large": {want, append(secret, 0)},
	} {
		if s, err := wrap(want, c.slot, c.secret, key); !errors.Is(err, ErrInternal) || s.wrapped != (seal.Wrapped{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
