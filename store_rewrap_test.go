package nebula_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nebula-credential/nebula"
)

// The slots are opened before a rotation, so the rotation asks nobody. Slots that a
// service makes anew are not opened before.
func TestUnlockSlots(t *testing.T) {
	f, service := newFixture(t), newServiceKey()
	words := passphrase("correct horse battery")
	words.KDF = nebula.SlotPBKDF2
	for _, key := range []nebula.Key{service, words} {
		if _, err := f.AddKey(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
	}
	absent, err := f.AddKey(t.Context(), newKeyFile(t), "")
	if err != nil {
		t.Fatal(err)
	}
	typed := []string{"a slip of the hand", "correct horse battery"}
	asked := 0
	person := &nebula.Passphrase{Tries: 3, Source: func(context.Context) ([]byte, error) {
		asked++
		return []byte(typed[asked-1]), nil
	}}
	s := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, service, person}})
	service.calls = nil
	before := keysOf(t, s)
	wantKind(t, s.UnlockSlots(t.Context(), nil), nebula.ErrUsage) // because of the absent slot
	wantKind(t, s.UnlockSlots(t.Context(), []string{"nothere2"}), nebula.ErrNotFound)
	drop := []string{absent.ID}
	if err := s.UnlockSlots(t.Context(), drop); err != nil || asked != 2 || len(service.calls) > 0 {
		t.Errorf("%v; a person was asked %d times, the service for %v", err, asked, service.calls)
	}
	if after := keysOf(t, s); after.Generation != before.Generation {
		t.Error("the keyring was changed")
	}
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{Drop: drop})
	if err != nil || asked != 2 || fmt.Sprint(service.calls) != "[encrypt]" {
		t.Errorf("%v; a person was asked %d times, the service for %v", err, asked, service.calls)
	}
	for _, key := range []nebula.Key{f.key, service, words} {
		if err := f.open(t, nebula.Options{Keys: []nebula.Key{key}, TrustedKey: &result.KeyID}).Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	}
	closed := f.open(t, nebula.Options{Keys: []nebula.Key{newKeyFile(t)}})
	wantKind(t, closed.UnlockSlots(t.Context(), nil), nebula.ErrWrongKey)
}

// If two passphrases open two slots, the person is asked for the second one, too.
func TestRotateWithTwoPassphrases(t *testing.T) {
	f := newEmptyFixture(t)
	texts := []string{"correct horse battery", "staple of another"}
	for i, text := range texts {
		key := passphrase(text)
		key.KDF = nebula.SlotPBKDF2
		var err error
		if i == 0 {
			_, err = f.Init(t.Context(), key)
		} else {
			_, err = f.open(t, nebula.Options{Keys: []nebula.Key{passphrase(texts[0])}}).AddKey(t.Context(), key, "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	person := &nebula.Passphrase{Tries: 2, Source: func(context.Context) ([]byte, error) {
		asked++
		return []byte(texts[asked-1]), nil
	}}
	if _, err := f.open(t, nebula.Options{Keys: []nebula.Key{person}}).Rotate(t.Context(), nebula.RotateOptions{}); err != nil || asked != 2 {
		t.Errorf("%v; asked %d times", err, asked)
	}
	for _, text := range texts {
		if err := f.open(t, nebula.Options{Keys: []nebula.Key{passphrase(text)}}).Unlock(t.Context()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
