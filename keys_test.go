package nebula_test

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
)

func newKeyFile(t testing.TB) *nebula.KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return &nebula.KeyFile{Path: path}
}

func passphrase(text string) *nebula.Passphrase {
	return &nebula.Passphrase{Source: func(context.Context) ([]byte, error) { return []byte(text), nil }}
}

func TestKeyFile(t *testing.T) {
	key := newKeyFile(t)
	secret, err := key.Secret(t.Context(), nebula.Slot{})
	if err != nil || len(secret) != 32 {
		t.Fatalf("the new key file gave %d bytes, %v", len(secret), err)
	}
	if runtime.GOOS != "windows" {
		info, _ := os.Stat(key.Path)
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("the key file has mode %04o", mode)
		}
	}
	if err := nebula.CreateKeyFile(key.Path); !errors.Is(err, nebula.ErrAlreadyExists) {
		t.Errorf("a second key file of that name gave %v", err)
	}
	again, err := (&nebula.KeyFile{Path: key.Path}).Secret(t.Context(), nebula.Slot{})
	if err != nil || string(again) != string(secret) {
		t.Errorf("the key file changed: %v", err)
	}
}

func TestKeyFileRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, _ := os.ReadFile(newKeyFile(t).Path)
	for name, path := range map[string]string{
		"missing":   filepath.Join(dir, "none"),
		"empty":     write("empty", 0o600, ""),
		"cut":       write("cut", 0o600, string(good[:60])),
		"too long":  write("long", 0o600, string(good)+"\n"),
		"garbage":   write("garbage", 0o600, strings.Repeat("x", 10_000)),
		"directory": dir,
	} {
		_, err := (&nebula.KeyFile{Path: path}).Secret(t.Context(), nebula.Slot{})
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), string(good[13:40])) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	_, err := (&nebula.KeyFile{Path: filepath.Join(dir, "none"), Optional: true}).Secret(t.Context(), nebula.Slot{})
	if !errors.Is(err, nebula.ErrUnauthenticated) {
		t.Errorf("an optional file that is missing gave %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for mode, groupMay := range map[os.FileMode]bool{0o644: false, 0o602: false, 0o660: false, 0o640: true, 0o440: true} {
		path := write("wide", mode, string(good))
		if _, err := (&nebula.KeyFile{Path: path}).Secret(t.Context(), nebula.Slot{}); !errors.Is(err, nebula.ErrInvalidConfig) {
			t.Errorf("mode %04o gave %v", mode, err)
		}
		_, err := (&nebula.KeyFile{Path: path, AllowGroupRead: true}).Secret(t.Context(), nebula.Slot{})
		if (err == nil) != groupMay {
			t.Errorf("mode %04o with AllowGroupRead gave %v", mode, err)
		}
		os.Remove(path)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := mkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	// Opened like a plain file, the FIFO would make the call wait for a writer.
	if _, err := (&nebula.KeyFile{Path: fifo}).Secret(t.Context(), nebula.Slot{}); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a FIFO gave %v", err)
	}
}

func TestPassphraseRules(t *testing.T) {
	var salt [16]byte
	for text, want := range map[string]nebula.Kind{
		"":                     nebula.ErrInvalidConfig,
		"eleven char":          nebula.ErrUsage,
		"\xff\xfe not UTF-8 !": nebula.ErrInvalidConfig,
		"twelve chars":         "",
		"zwölf Zeichn":         "",
	} {
		_, _, err := passphrase(text).NewSlot(t.Context(), "aaaaaaaa", salt)
		if nebula.KindOf(err) != want {
			t.Errorf("%q gave %v, want kind %q", text, err, want)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the passphrase: %v", err)
		}
	}
	weak := passphrase("short")
	weak.AllowWeak = true
	want := nebula.Slot{ID: "aaaaaaaa", Kind: nebula.SlotArgon2id, Memory: 64 << 10, Passes: 3, Lanes: 4}
	if fips140.Enforced() {
		want = nebula.Slot{ID: "aaaaaaaa", Kind: nebula.SlotPBKDF2, Passes: 600_000}
	}
	slot, secret, err := weak.NewSlot(t.Context(), "aaaaaaaa", salt)
	if err != nil || fmt.Sprint(slot) != fmt.Sprint(want) || len(secret) != 32 {
		t.Errorf("a weak passphrase that is allowed gave %+v, a secret of %d bytes, %v", slot, len(secret), err)
	}
	other := passphrase("twelve chars")
	other.KDF = "scrypt"
	if _, _, err := other.NewSlot(t.Context(), "aaaaaaaa", salt); !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("an unknown KDF gave %v", err)
	}
}

// cheapSlot is the cheapest slot within the bounds, so that tests are quick.
func cheapSlot() nebula.Slot {
	if fips140.Enforced() {
		return nebula.Slot{Kind: nebula.SlotPBKDF2, Passes: 600_000}
	}
	return nebula.Slot{Kind: nebula.SlotArgon2id, Memory: 19 << 10, Passes: 2, Lanes: 1}
}

func TestPassphraseIsNormalised(t *testing.T) {
	composed, err := passphrase("Zo\u00eb's passphrase").Secret(t.Context(), cheapSlot())
	if err != nil {
		t.Fatal(err)
	}
	decomposed, err := passphrase("Zoe\u0308's passphrase").Secret(t.Context(), cheapSlot())
	if err != nil || string(composed) != string(decomposed) {
		t.Errorf("two spellings of one text give two secrets: %v", err)
	}
}

func TestPassphraseIsAskedForAndDerivedOnce(t *testing.T) {
	var asked atomic.Int32
	p := &nebula.Passphrase{Source: func(context.Context) ([]byte, error) {
		asked.Add(1)
		return []byte("correct horse battery"), nil
	}}
	first, err := p.Secret(t.Context(), cheapSlot())
	if err != nil {
		t.Fatal(err)
	}
	again, _ := p.Secret(t.Context(), cheapSlot())
	if &first[0] != &again[0] {
		t.Error("the secret was derived twice")
	}
	other := cheapSlot()
	other.Salt[0] = 1
	if changed, _ := p.Secret(t.Context(), other); string(changed) == string(first) {
		t.Error("another salt gives the same secret")
	}
	if asked.Load() != 1 {
		t.Errorf("the passphrase was asked for %d times", asked.Load())
	}
}

func TestHostileParametersAreRefusedBeforeAnyWork(t *testing.T) {
	hostile := []nebula.Slot{
		{Kind: nebula.SlotArgon2id, Memory: 1<<32 - 1, Passes: 3, Lanes: 4}, // 4 TiB
		{Kind: nebula.SlotArgon2id, Memory: 1 << 20, Passes: 5, Lanes: 4},   // m·t over 4 GiB
		{Kind: nebula.SlotArgon2id, Memory: 64 << 10, Passes: 1<<32 - 1, Lanes: 4},
		{Kind: nebula.SlotArgon2id, Memory: 64 << 10, Passes: 3, Lanes: 0}, // would panic
		{Kind: nebula.SlotArgon2id, Memory: 64 << 10, Passes: 3, Lanes: 17},
		{Kind: nebula.SlotArgon2id, Memory: 64 << 10, Passes: 0, Lanes: 4}, // would panic
		{Kind: nebula.SlotArgon2id, Memory: 8, Passes: 3, Lanes: 4},
		{Kind: nebula.SlotPBKDF2, Passes: 1<<32 - 1},
		{Kind: nebula.SlotPBKDF2, Passes: 1},
	}
	for _, slot := range hostile {
		asked := false
		p := &nebula.Passphrase{Source: func(context.Context) ([]byte, error) {
			asked = true
			return []byte("correct horse battery"), nil
		}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := p.Secret(t.Context(), slot)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, nebula.ErrCorrupted) || asked {
			t.Errorf("%+v gave %v (asked for the passphrase: %t)", slot, err, asked)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%+v used %d bytes", slot, used)
		}
	}
}

// In FIPS mode the error names Argon2id, and a new passphrase slot is of a kind that
// opens there. The suite runs in that mode too, see scripts/test.
func TestFIPSMode(t *testing.T) {
	slot := nebula.Slot{Kind: nebula.SlotArgon2id, Memory: 19 << 10, Passes: 2, Lanes: 1}
	_, err := passphrase("correct horse battery").Secret(t.Context(), slot)
	if !fips140.Enforced() {
		wantKind(t, err, "")
		return
	}
	wantKind(t, err, nebula.ErrNotSupported)
	if err == nil || !strings.Contains(err.Error(), "Argon2id") || !strings.Contains(err.Error(), "pbkdf2-sha256") {
		t.Errorf("the error does not name what is refused and what is not: %v", err)
	}
	argon := passphrase("correct horse battery")
	argon.KDF = nebula.SlotArgon2id
	if _, err := newFixture(t).AddKey(t.Context(), argon, ""); nebula.KindOf(err) != nebula.ErrNotSupported {
		t.Errorf("an Argon2id slot was made: %v", err)
	}
}
