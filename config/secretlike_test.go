package config

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestLooksLikeKey(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]bool{
		"nebula-key-1:" + hex + ":01234567": true,
		"nebula-key-1:" + hex:               true,
		hex + ":01234567":                   true,
		hex:                                 true,
		strings.ToUpper(hex):                true,
		hex[:32]:                            true,
		hex + "\n":                          true,
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=": true,
		"/83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=": true,
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA":  true,
		"AGE-SECRET-KEY-1QQQQ":                         true,
		"-----BEGIN PRIVATE KEY-----":                  true,
		"hvs.CAESIJ0123456789abcdefghij":               true,

		"key": false, "/run/secrets/" + hex: false, "./" + hex: false, `C:\keys\nebula`: false, hex[:31]: false, "": false,
		"/etc/nebula/keys/of-this-machine/key_number_1": false,
		"a_long_name_of_a_key_file_of_this_machine":     false,
		"secrets/Prod2/nebula_key_file_for_web":         false,
	} {
		if got := LooksLikeKey(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A secret that is given as a path or an id is not repeated in the error.
func TestSecretInAWrongPlace(t *testing.T) {
	key := "nebula-key-1:" + strings.Repeat("0123456789abcdef", 4) + ":01234567"
	for _, secret := range []string{key, key[13:77], "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", "canary horse battery"} {
		for _, name := range []string{"NEBULA_KEY_ID", "NEBULA_STORAGE_VAULT_AUTH_TOKEN_FILE", "NEBULA_STORAGE_VAULT_AUTH_SECRET_ID_FILE",
			"NEBULA_STORAGE_AZURE_CREDENTIAL_CLIENT_SECRET_FILE"} {
			_, err := load(t, "", name+"="+secret)
			if nebula.KindOf(err) != nebula.ErrInvalidConfig || strings.Contains(err.Error(), secret) {
				t.Errorf("%s=%s: %v", name, secret, err)
			}
		}
		for _, text := range []string{"[key]\nfile = %", "[key]\nid = %", "[stores.x.key]\nfile = %", "[stores.x.key]\npassphrase_file = %"} {
			_, err := load(t, strings.ReplaceAll(text, "%", `"`+secret+`"`))
			if nebula.KindOf(err) != nebula.ErrInvalidConfig || strings.Contains(err.Error(), secret) {
				t.Errorf("%s with %s: %v", text, secret, err)
			}
		}
	}
	for _, secret := range []string{key, key[13:77]} {
		for _, name := range []string{"NEBULA_KEY_FILE", "NEBULA_CONFIG"} {
			_, err := Load(Source{Environ: []string{"HOME=" + t.TempDir(), name + "=" + secret}})
			if nebula.KindOf(err) != nebula.ErrInvalidConfig || strings.Contains(err.Error(), secret) {
				t.Errorf("%s=%s: %v", name, secret, err)
			}
		}
	}
}

// A passphrase that is given as a key file is not repeated either.
func TestPassphraseInThePlaceOfAKeyFile(t *testing.T) {
	c, err := load(t, "[storage.local]\nbase_path = \"HOME/s\"", "NEBULA_KEY_FILE=canary horse battery")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(t.Context(), "", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := s.Keys.Files()
	if err := s.Keys.ReadFile(t.Context(), files[0]); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if where := s.Keys.Where(); strings.Contains(where, "canary") {
		t.Error(where)
	}
}

// The base path comes from the environment of the source, not from that of the process.
func TestDefaultPlacesAreOfTheEnvironment(t *testing.T) {
	home := t.TempDir()
	c, err := Load(Source{Environ: []string{"HOME=" + home, "LOCALAPPDATA=" + home, "APPDATA=" + home}})
	if err != nil {
		t.Fatal(err)
	}
	if path, _ := setting(t, c, "storage.local.base_path").Value.(string); !strings.HasPrefix(path, home) {
		t.Errorf("base_path is %q, not below %q", path, home)
	}
}

// A passphrase that is given as the path of its file is not repeated either.
func TestPassphraseInThePlaceOfItsFile(t *testing.T) {
	for _, name := range []string{envPassphraseFile, envNewPassphraseFile} {
		c, err := load(t, "[storage]\nprovider = \"memory\"", name+"=canary horse battery")
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Open(t.Context(), "", OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		read := s.Keys.Passphrase
		if name == envNewPassphraseFile {
			read = s.Keys.NewPassphraseSource()
		}
		if _, err = read(t.Context()); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
