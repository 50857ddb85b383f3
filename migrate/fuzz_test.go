package migrate_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

// FuzzOpen: Open does not panic, and its errors have the documented kinds. A store can
// seal a record whose metadata is valid.
func FuzzOpen(f *testing.F) {
	seeds, readable := 0, 0
	for _, l := range manifest(f) {
		data := l.data(f)
		seeds++
		if got, err := migrate.Open(data, l.key(f)); err == nil && bytes.Equal(got.Secret.Reveal(), l.Plaintext) {
			readable++
		}
		f.Add(data)
	}
	for _, extra := range []string{"", "[]", "{}", `{"version":1}`, "[1,[1,[],[],[]],[],null]"} {
		f.Add([]byte(extra))
	}
	f.Add(newV1(testKey, []byte("value")).text())
	if seeds != 40 || readable < 25 {
		f.Fatalf("%d seeds, %d can be read", seeds, readable)
	}
	key := migrate.NewKey(testKey)
	name, _ := nebula.ID("x").Name()
	f.Fuzz(func(t *testing.T, data []byte) {
		given := bytes.Clone(data)
		got, err := migrate.Open(data, key)
		if !bytes.Equal(data, given) {
			t.Fatal("Open changed the record")
		}
		switch nebula.KindOf(err) {
		case "":
		case nebula.ErrCorrupted, nebula.ErrUnsupportedVersion, nebula.ErrDecryptionFailed:
			return
		default:
			t.Fatalf("%v", err)
		}
		if why := got.Validate(); why != nil {
			if nebula.KindOf(why) != nebula.ErrInvalidMetadata {
				t.Fatalf("%v", why)
			}
			return
		}
		e, err := nebula.SealRecord(testKey, name, got.Secret, got.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := nebula.ParseEnvelope(name, e.Bytes()); err != nil || !again.Metadata().CreatedAt.Equal(got.Metadata.CreatedAt) {
			t.Fatalf("sealed: %v", err)
		}
	})
}

// FuzzParseKey: a key has 32 bytes, in hexadecimal digits or as they are.
func FuzzParseKey(f *testing.F) {
	digits := strings.Repeat("0f", migrate.KeySize)
	for _, s := range []string{"", digits, digits + "\n", digits + "\r\n", digits + " ", strings.ToUpper(digits), digits[:32], digits[1:]} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := migrate.ParseKey(text)
		line, _ := strings.CutSuffix(string(text), "\n")
		if line != string(text) {
			line = strings.TrimSuffix(line, "\r")
		}
		_, wrong := hex.DecodeString(line)
		valid := len(text) == migrate.KeySize || len(line) == 2*migrate.KeySize && wrong == nil
		if valid != (err == nil) || err != nil && nebula.KindOf(err) != nebula.ErrInvalidConfig {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
