package nebula_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestRotateWithService(t *testing.T) {
	denied := refusal(nebula.ErrPermissionDenied)
	for name, test := range map[string]struct {
		encrypt, decrypt error
		keep             bool // whether the slot stays the same, except for the wrapped key
		want             nebula.Kind
		calls            string
	}{
		"may encrypt":           {calls: "[encrypt]"},
		"may encrypt alone":     {decrypt: denied, calls: "[encrypt]"},
		"may decrypt alone":     {encrypt: denied, keep: true, calls: "[encrypt decrypt]"},
		"may do nothing":        {encrypt: denied, decrypt: denied, want: nebula.ErrUsage, calls: "[encrypt decrypt]"},
		"is not logged in":      {encrypt: refusal(nebula.ErrUnauthenticated), decrypt: refusal(nebula.ErrUnauthenticated), want: nebula.ErrUsage, calls: "[encrypt decrypt]"},
		"is away":               {encrypt: refusal(nebula.ErrUnavailable), want: nebula.ErrUnavailable, calls: "[encrypt]"},
		"cannot, in FIPS mode":  {encrypt: refusal(nebula.ErrNotSupported), want: nebula.ErrUsage, calls: "[encrypt]"},
		"has lost the key":      {encrypt: denied, decrypt: refusal(nebula.ErrWrongKey), want: nebula.ErrUsage, calls: "[encrypt decrypt]"},
		"holds a damaged datum": {encrypt: denied, decrypt: refusal(nebula.ErrCorrupted), want: nebula.ErrCorrupted, calls: "[encrypt decrypt]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, key := newFixture(t), newServiceKey()
			slot, err := f.AddKey(t.Context(), key, "ci")
			if err != nil {
				t.Fatal(err)
			}
			put(t, f.Store, "x", "v", nebula.PutOptions{})
			before := keysOf(t, f.Store)
			key.calls = nil
			key.denied["encrypt"], key.denied["decrypt"] = test.encrypt, test.decrypt
			s := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, key}})
			_, err = s.Rotate(t.Context(), nebula.RotateOptions{})
			wantKind(t, err, test.want)
			if fmt.Sprint(key.calls) != test.calls {
				t.Errorf("the service was asked: %v", key.calls)
			}
			after := keysOf(t, f.Store)
			if test.want != "" {
				if after.Generation != before.Generation {
					t.Error("the keyring was changed")
				}
				if test.want == nebula.ErrUsage && test.encrypt == denied && !strings.Contains(err.Error(), "refused: permission_denied") {
					t.Errorf("the error does not say why: %v", err)
				}
				return
			}
			renewed := after.Slots[1]
			same := string(renewed.Data) == string(slot.Data) && renewed.Salt == slot.Salt
			if renewed.ID != slot.ID || same != test.keep || after.Notes[slot.ID].Label != "ci" || after.Slots[0].Salt != before.Slots[0].Salt {
				t.Errorf("the slots were %+v and are %+v", before.Slots, after.Slots)
			}
			key.denied["decrypt"] = nil
			get(t, f.open(t, nebula.Options{Keys: []nebula.Key{key}, TrustedKey: &after.ID}), "x")
		})
	}
}

// oddRenewer returns a slot with another id.
type oddRenewer struct{ serviceKey }

func (k oddRenewer) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	return k.NewSlot(ctx, "aaaaaaaa", salt)
}

func TestRenewerThatWouldSpoilTheKeyring(t *testing.T) {
	f, key := newFixture(t), newServiceKey()
	if _, err := f.AddKey(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	_, err := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, oddRenewer{key}}}).Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrInternal)
	if info := keysOf(t, f.Store); info.Rotating {
		t.Error("a rotation was begun")
	}
}

// One rotation removes a slot and replaces the data key that it gave.
func TestRotateRevokes(t *testing.T) {
	f, leaver := newFixture(t), newServiceKey()
	slot, err := f.AddKey(t.Context(), leaver, "leaver")
	if err != nil {
		t.Fatal(err)
	}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{slot.ID}})
	if err != nil {
		t.Fatal(err)
	}
	info := keysOf(t, f.Store)
	if len(info.Slots) != 1 || len(info.Notes) != 1 || info.ID != result.KeyID || info.Rotating {
		t.Errorf("the keyring is now %+v", info)
	}
	_, err = f.open(t, nebula.Options{Keys: []nebula.Key{leaver}, TrustedKey: &info.ID}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnauthenticated)
}
