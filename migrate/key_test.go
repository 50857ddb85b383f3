package migrate_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

func printed(key migrate.Key) []string {
	type holder struct{ key migrate.Key }
	asJSON, _ := json.Marshal(key)
	texts := []string{string(asJSON), fmt.Sprint(holder{key}), fmt.Sprintf("%#v", &holder{key})}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, key))
	}
	return texts
}

func TestParseKey(t *testing.T) {
	record := newV1(testKey, []byte("v")).text()
	digits := fmt.Sprintf("%x", testKey)
	for text, good := range map[string]bool{
		string(testKey[:]): true, digits: true, digits + "\n": true, digits + "\r\n": true, strings.ToUpper(digits): true,
		string(testKey[:]) + "\n": false, digits + "\n\n": false, digits + " ": false, " " + digits: false,
		digits[:62]: false, digits + "00": false, "": false, "\n": false, strings.Repeat("x", 64): false,
		string(testKey[:31]): false, digits + "\r": false,
	} {
		key, err := migrate.ParseKey([]byte(text))
		if !good {
			if !errors.Is(err, nebula.ErrInvalidConfig) || len(text) > 1 && strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if _, err2 := migrate.Open(record, key); err != nil || err2 != nil {
			t.Errorf("%q: %v, %v", text, err, err2)
		}
	}
}

func TestParseSalt(t *testing.T) {
	const digits = "ad0357e085342b17332cb21412d1a7FF"
	if salt, err := migrate.ParseSalt(digits); err != nil || salt[0] != 0xad || salt[15] != 0xff {
		t.Errorf("%x, %v", salt, err)
	}
	for _, bad := range []string{"", digits[:30], digits[:31], digits + "00", "x" + digits[1:], digits + "\n"} {
		if _, err := migrate.ParseSalt(bad); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeys(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("Argon2id is refused in FIPS mode, see TestFIPS")
	}
	if _, err := migrate.DeriveKey([]byte("\xff"), [16]byte{}); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a passphrase that is not UTF-8: %v", err)
	}
	record := newV1(testKey, []byte("v")).text()
	key := migrate.NewKey(testKey)
	key.Wipe()
	for _, none := range []migrate.Key{key, {}} {
		if _, err := migrate.Open(record, none); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("no key: %v", err)
		}
		if _, err := migrate.Dir(t.Context(), newMemory(t, nil, nebula.Options{}), t.TempDir(), none, migrate.Options{}); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("no key: %v", err)
		}
	}
}

// TestFIPS: the error names Argon2id, and a key that needs no derivation opens records.
func TestFIPS(t *testing.T) {
	record := newV1(testKey, []byte("v")).text()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "NEBULA_TEST_ROLE=fips", "GODEBUG=fips140=only")
	c.Stdin = bytes.NewReader(record)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func underFIPS() error {
	_, err := migrate.DeriveKey([]byte("passphrase"), [16]byte{})
	if !errors.Is(err, nebula.ErrNotSupported) || !strings.Contains(err.Error(), "Argon2id") {
		return fmt.Errorf("DeriveKey: %w", err)
	}
	var record bytes.Buffer
	if _, err := record.ReadFrom(os.Stdin); err != nil {
		return err
	}
	got, err := migrate.Open(record.Bytes(), migrate.NewKey(testKey))
	if err == nil && string(got.Secret.Reveal()) != "v" {
		err = errors.New("got another value")
	}
	return err
}
