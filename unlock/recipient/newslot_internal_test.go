package recipient

import (
	"bytes"
	"crypto/fips140"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

// A new slot is opened to try it, with an identity that is at hand.
func TestNewSlotIsOpened(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("age is not called in FIPS mode")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(id.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	own := id.Recipient().String()
	secret := bytes.Repeat([]byte{1}, 32)
	sealed := func(text []byte) nebula.Slot {
		sealed, err := seal(t.Context(), &Options{}, own, text)
		if err != nil {
			t.Fatal(err)
		}
		return nebula.Slot{ID: "aaaaaaaa", Kind: nebula.SlotRecipient, Data: slotdata.Recipient{Recipient: own, File: sealed}.Bytes()}
	}
	for what, test := range map[string]struct {
		identities []string
		slot       nebula.Slot
		want       nebula.Kind
	}{
		"as it should be":    {[]string{file}, sealed(secret), ""},
		"another secret":     {[]string{file}, sealed(bytes.Repeat([]byte{2}, 32)), nebula.ErrCorrupted},
		"too short":          {[]string{file}, sealed(secret[:31]), nebula.ErrCorrupted},
		"no identity":        {nil, sealed(secret[:31]), ""},
		"one that is absent": {[]string{file + "x"}, sealed(secret[:31]), ""},
	} {
		k := &key{options: Options{Recipient: own, Identities: test.identities}}
		if err := k.openOwn(t.Context(), test.slot, secret); nebula.KindOf(err) != test.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	k := New(Options{Recipient: own, Identities: []string{file}})
	if _, _, err := k.NewSlot(t.Context(), "aaaaaaaa", [16]byte{}); err != nil || k.(*key).held == nil {
		t.Errorf("%v; the identities were looked at: %t", err, k.(*key).held != nil)
	}
}
