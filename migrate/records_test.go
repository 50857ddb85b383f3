package migrate_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

var kinds = map[string]nebula.Kind{
	"ok": "", "auth_failed": nebula.ErrDecryptionFailed, "malformed": nebula.ErrCorrupted,
	"unsupported_version": nebula.ErrUnsupportedVersion,
}

// TestRecords reads the records of the other implementation.
func TestRecords(t *testing.T) {
	for _, l := range manifest(t) {
		t.Run(filepath.Base(l.File), func(t *testing.T) {
			want, known := kinds[l.Expect]
			if !known {
				t.Fatalf("the manifest expects %q", l.Expect)
			}
			got, err := migrate.Open(l.data(t), l.key(t))
			if nebula.KindOf(err) != want {
				t.Fatalf("%s: %v, want %q", l.Note, err, want)
			}
			if err != nil {
				return
			}
			if !bytes.Equal(got.Secret.Reveal(), l.Plaintext) {
				t.Error("got another plaintext")
			}
			m := l.Metadata
			if !got.Metadata.CreatedAt.Equal(m.CreatedAt) || !got.Metadata.LastModified.Equal(m.LastModified) ||
				!maps.Equal(got.Metadata.Tags, m.Tags) ||
				got.Metadata.CreatedAt.Location() != time.UTC || got.Metadata.CreatedBy != "" {
				t.Errorf("metadata %+v, want %+v", got.Metadata, m)
			}
			if m.LastAccessed != nil && !got.Metadata.LastAccessed.Equal(*m.LastAccessed) ||
				m.LastAccessed == nil && !got.Metadata.LastAccessed.IsZero() {
				t.Errorf("last_accessed %v, want %v", got.Metadata.LastAccessed, m.LastAccessed)
			}
			if m.Scope != nil && *m.Scope != got.Metadata.Scope || m.Scope == nil && got.Metadata.Scope != "" {
				t.Errorf("scope %q", got.Metadata.Scope)
			}
			if p := m.RotationPolicy; p != nil && p.IntervalDays != got.Metadata.RotationPolicy.IntervalDays {
				t.Errorf("rotation %v, want %v", got.Metadata.RotationPolicy, *p)
			}
		})
	}
}

// TestPassphrases derives the keys of the records that have a passphrase.
func TestPassphrases(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("Argon2id is refused in FIPS mode, see TestFIPS")
	}
	derived := 0
	for _, l := range manifest(t) {
		if l.Key.Passphrase == nil {
			continue
		}
		derived++
		salt, err := migrate.ParseSalt(l.Key.SaltHex)
		if err != nil {
			t.Fatal(err)
		}
		key, err := migrate.DeriveKey([]byte(*l.Key.Passphrase), salt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := migrate.Open(l.data(t), key)
		if err != nil || !bytes.Equal(got.Secret.Reveal(), l.Plaintext) {
			t.Errorf("%s: %v", l.File, err)
		}
	}
	if derived < 3 {
		t.Errorf("%d records have a passphrase", derived)
	}
}

// TestRecordsIntoAStore takes over each record alone, under its own id.
func TestRecordsIntoAStore(t *testing.T) {
	refused := map[string]nebula.Kind{
		"records/-_-.cred": nebula.ErrInvalidID, "records/unicode-id.cred": nebula.ErrInvalidID,
		"records/long-id.cred": nebula.ErrInvalidID, "records/r25-tags-odd.cred": nebula.ErrInvalidMetadata,
		"records/r33-time-extremes.cred": nebula.ErrInvalidMetadata,
	}
	for _, l := range manifest(t) {
		t.Run(filepath.Base(l.File), func(t *testing.T) {
			dir, s := t.TempDir(), newMemory(t, nil, nebula.Options{})
			write(t, dir, l.ID+".cred", l.data(t))
			report, err := migrate.Dir(t.Context(), s, dir, l.key(t), migrate.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := kinds[l.Expect]
			if k, ok := refused[l.File]; ok {
				want = k
			}
			if want != "" {
				if len(report.Left) != 1 || len(report.Migrated)+len(report.Present)+len(ids(t, s)) != 0 {
					t.Fatalf("%+v", report)
				}
				if got := report.Left[0]; got.Kind != want || got.ID != l.ID || got.File != l.ID+".cred" || got.Message == "" {
					t.Errorf("%+v, want %s", got, want)
				}
				return
			}
			if len(report.Left) != 0 || len(report.Migrated) != 1 || string(report.Migrated[0]) != l.ID {
				t.Fatalf("%+v", report)
			}
			c, err := s.Get(t.Context(), nebula.ID(l.ID))
			if err != nil || !bytes.Equal(c.Secret.Reveal(), l.Plaintext) || !c.Metadata.CreatedAt.Equal(l.Metadata.CreatedAt) ||
				!c.Metadata.LastModified.Equal(l.Metadata.LastModified) || !maps.Equal(c.Metadata.Tags, l.Metadata.Tags) {
				t.Errorf("%+v, %v", c.Metadata, err)
			}
		})
	}
}

// TestNothingSecretIsSaid: no error shows a value, and printing a key does not show it.
func TestNothingSecretIsSaid(t *testing.T) {
	for _, l := range manifest(t) {
		key := l.key(t)
		_, err := migrate.Open(l.data(t), key)
		for _, secret := range []string{string(l.Plaintext), base64.StdEncoding.EncodeToString(l.Plaintext), l.Key.KeyHex} {
			if err != nil && len(secret) > 3 && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", l.File, err)
			}
		}
		raw, _ := hex.DecodeString(l.Key.KeyHex)
		for _, text := range printed(key) {
			if strings.Contains(text, l.Key.KeyHex) || strings.Contains(text, string(raw)) {
				t.Errorf("a key is shown: %s", text)
			}
		}
	}
}
