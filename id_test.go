package nebula_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

func TestParseID(t *testing.T) {
	long := strings.Repeat("a", nebula.MaxIDLength)
	valid := []string{"a", "Z", "0", "_", "_-", "a-", "github_token", "GitHub-Token", "CONx", "con_", "com0", "com10", "lpt", "auxiliary", long}
	for _, s := range valid {
		id, err := nebula.ParseID(s)
		if err != nil || string(id) != s {
			t.Errorf("%q was refused: %v", s, err)
		}
		name, err := id.Name()
		if err != nil || name.String() != s || name.ID() != id || name.IsKeyring() {
			t.Errorf("%q gave the name %v, %v", s, name, err)
		}
	}
	invalid := []string{"", "-x", "--", long + "a", "../x", "a/b", `a\b`, ".", "..", ".keyring", "a.b", "a b", "a\x00b", "a\nb", "\x7f",
		"é", "ｃｏｎ", "a\u202eb", "\xff", "CON", "con", "Prn", "aux", "NUL", "com1", "COM9", "lpt1", "LPT9", "a:b", "a*", "a%", "~"}
	for _, s := range invalid {
		_, err := nebula.ParseID(s)
		if !errors.Is(err, nebula.ErrInvalidID) {
			t.Errorf("%q gave %v, not ErrInvalidID", s, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x00\n\x7f\u202e") || !utf8.ValidString(err.Error()) {
			t.Errorf("the error for %q holds it unquoted: %s", s, err)
		}
		if _, err := nebula.ID(s).Name(); !errors.Is(err, nebula.ErrInvalidID) {
			t.Errorf("ID(%q).Name() gave %v", s, err)
		}
	}
}

func TestKeyringNameIsNoID(t *testing.T) {
	name := nebula.KeyringName()
	if !name.IsKeyring() || name.ID() != "" {
		t.Error("the keyring's name is a credential's name")
	}
	if _, err := nebula.ParseID(name.String()); err == nil {
		t.Error("the keyring's name is a valid id")
	}
}

func FuzzParseID(f *testing.F) {
	seeds := []string{"a", "", "con", "../x", "github_token", "\x00", strings.Repeat("x", 129)}
	for _, s := range seeds {
		f.Add(s)
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := nebula.ParseID(s)
		if err != nil {
			if !errors.Is(err, nebula.ErrInvalidID) {
				t.Fatalf("%q gave %v", s, err)
			}
			return
		}
		if string(id) != s || len(s) > nebula.MaxIDLength || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || s[0] == '-' {
			t.Fatalf("%q was accepted", s)
		}
	})
}
