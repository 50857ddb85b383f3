package migrate_test

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
)

// v1 is a record of version 1 as its writer lays it out.
type v1 struct {
	Version       int      `json:"version"`
	EncryptedData v1Sealed `json:"encrypted_data"`
	Metadata      v1Meta   `json:"metadata"`
}

type v1Sealed struct {
	Version    int   `json:"version"`
	Nonce      []int `json:"nonce"`
	Ciphertext []int `json:"ciphertext"`
	Tag        []int `json:"tag"`
}

type v1Meta struct {
	CreatedAt      string            `json:"created_at"`
	LastAccessed   *string           `json:"last_accessed"`
	LastModified   string            `json:"last_modified"`
	Scope          *string           `json:"scope"`
	RotationPolicy *v1Rotation       `json:"rotation_policy"`
	Tags           map[string]string `json:"tags"`
}

type v1Rotation struct {
	IntervalDays uint32 `json:"interval_days"`
}

// newV1 seals a value as version 1 does, except for the nonce.
func newV1(key [32]byte, value []byte) v1 {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	// FIPS mode allows no other construction. This one puts the nonce first.
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	box := gcm.Seal(nil, nil, value, nil)
	nonce, box := box[:12], box[12:]
	return v1{Version: 1,
		EncryptedData: v1Sealed{1, numbers(nonce), numbers(box[:len(box)-16]), numbers(box[len(box)-16:])},
		Metadata: v1Meta{CreatedAt: "2024-05-06T07:08:09.123456789Z", LastModified: "2024-06-07T08:09:10Z",
			Tags: map[string]string{}}}
}

func (r v1) text() []byte {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err)
	}
	return text
}

func numbers(b []byte) []int {
	n := make([]int, len(b))
	for i, c := range b {
		n[i] = int(c)
	}
	return n
}

var testKey = [32]byte{1, 2, 3}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openLocal opens a store on files, and makes its key if there is none.
func openLocal(base string) (*nebula.Store, error) {
	key := &nebula.KeyFile{Path: filepath.Join(base, "key")}
	err := nebula.CreateKeyFile(key.Path)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(base, "credentials")
	p, err := local.New(config)
	if err != nil {
		return nil, err
	}
	return nebula.Open(context.Background(), p, nebula.Options{Keys: []nebula.Key{key},
		FirstKey: func(context.Context) (nebula.Key, error) { return key, nil }})
}

func newMemory(t testing.TB, around []provider.Option, options nebula.Options) *nebula.Store {
	t.Helper()
	config := memory.DefaultConfig()
	config.MaxRecordSize = 20_000
	p, err := memory.New(config, around...)
	if err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	options.Keys = []nebula.Key{key}
	s, err := nebula.Open(t.Context(), p, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return s
}

func ids(t testing.TB, s *nebula.Store) map[nebula.ID]nebula.Version {
	t.Helper()
	found := make(map[nebula.ID]nebula.Version)
	for e, err := range s.List(t.Context(), nebula.ListOptions{Details: true, Verify: true}) {
		if err == nil {
			err = e.Err
		}
		if err != nil {
			t.Fatal(err)
		}
		found[e.ID] = e.Version
	}
	return found
}

type line struct {
	File, Kind, Expect, ID, Note string
	Key                          struct {
		KeyHex     string  `json:"key_hex"`
		Passphrase *string `json:"passphrase"`
		SaltHex    string  `json:"salt_hex"`
	}
	Metadata struct {
		CreatedAt      time.Time  `json:"created_at"`
		LastAccessed   *time.Time `json:"last_accessed"`
		LastModified   time.Time  `json:"last_modified"`
		Scope          *string
		RotationPolicy *v1Rotation `json:"rotation_policy"`
		Tags           map[string]string
	}
	Plaintext []byte `json:"plaintext_b64"`
}

// manifest returns the lines of the manifest, and fails if some are missing.
func manifest(t testing.TB) []line {
	t.Helper()
	f, err := os.Open("testdata/manifest.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []line
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if lines.Err() != nil || len(all) != 40 {
		t.Fatalf("%d lines, %v", len(all), lines.Err())
	}
	return all
}

func (l line) data(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", l.File))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (l line) key(t testing.TB) migrate.Key {
	t.Helper()
	key, err := migrate.ParseKey([]byte(l.Key.KeyHex))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
