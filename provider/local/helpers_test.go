package local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/providertest"
)

// store is a connected provider over its own directory.
type store struct {
	*testing.T
	full
	dir string
}

func newStore(t *testing.T, change ...func(*local.Config)) store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "credentials"), change...)
}

func openStore(t *testing.T, dir string, change ...func(*local.Config)) store {
	t.Helper()
	p := newProvider(t, dir, change...)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store{t, p, dir}
}

func newProvider(t *testing.T, dir string, change ...func(*local.Config)) full {
	t.Helper()
	c := config(dir)
	for _, f := range change {
		f(&c)
	}
	return made(t, c)
}

// full has the methods of the local provider.
type full interface {
	nebula.Provider
	nebula.Connector
	nebula.Describer
	nebula.Checker
	nebula.BatchStorer
}

// deleted drops the report of a deletion and keeps its error.
func deleted(_ bool, err error) error { return err }

// made returns a provider that is closed at the end of the test.
func made(t *testing.T, c local.Config, options ...provider.Option) full {
	t.Helper()
	bare, err := local.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	p := bare.(full)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

func config(dir string) local.Config {
	c := local.DefaultConfig()
	c.BasePath = dir
	return c
}

func withoutLocks(c *local.Config) { c.EnableLocking = false }

func named(id string) nebula.Name {
	name, err := nebula.ID(id).Name()
	if err != nil {
		panic(err)
	}
	return name
}

// sealed makes a record. No two are the same.
func sealed(id, value string, tags map[string]string) *nebula.Envelope {
	return sealedUnder(providertest.DataKey(), id, value, tags)
}

func sealedUnder(key [32]byte, id, value string, tags map[string]string) *nebula.Envelope {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord(key, named(id), nebula.NewSecret([]byte(value)),
		nebula.Metadata{CreatedAt: at, LastModified: at, Tags: tags})
	if err != nil {
		panic(err)
	}
	return e
}

// put stores a record and returns its bytes.
func (s store) put(id, value string) []byte {
	s.Helper()
	e := sealed(id, value, nil)
	if _, err := s.Store(s.Context(), named(id), e, nebula.StoreOptions{}); err != nil {
		s.Fatalf("store %s: %v", id, err)
	}
	return e.Bytes()
}

func (s store) holds(id string, want []byte) {
	s.Helper()
	r, err := s.Retrieve(s.Context(), named(id))
	if err != nil {
		s.Fatalf("retrieve %s: %v", id, err)
	}
	if !bytes.Equal(r.Envelope.Bytes(), want) {
		s.Fatalf("%s is not the stored record", id)
	}
}

// versionOf returns the version as the documentation defines it.
func versionOf(envelope *nebula.Envelope) string {
	sum := sha256.Sum256(envelope.Bytes())
	return hex.EncodeToString(sum[:16])
}

func (s store) path(id string) string { return filepath.Join(s.dir, id+".enc.json") }

// list returns the entries of a list, by id.
func (s store) list(filter nebula.Filter) map[nebula.ID]nebula.Entry {
	s.Helper()
	entries := make(map[nebula.ID]nebula.Entry)
	pager := s.List(s.Context(), filter)
	defer pager.Close()
	for {
		page, err := pager.NextPage(s.Context())
		if err == io.EOF {
			return entries
		}
		if err != nil {
			s.Fatalf("list: %v", err)
		}
		for _, e := range page {
			entries[e.ID] = e
		}
	}
}

// temps returns the names of temporary files.
func (s store) temps() []string {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, ".tmp-*"))
	if err != nil {
		s.Fatal(err)
	}
	return found
}

// fails checks the kind and text of an error: the text has each of words.
func fails(t *testing.T, err error, kind nebula.Kind, op string, words ...string) {
	t.Helper()
	var e *nebula.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not a *nebula.Error, want kind %s", err, kind)
	}
	if e.Kind != kind || e.Op != op || e.Provider != "local" {
		t.Fatalf("kind %q, op %q, provider %q of %v; want %q, %q, local", e.Kind, e.Op, e.Provider, err, kind, op)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// missing skips a test if a tool or a right is missing, unless that is an error.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
		t.Fatal("needs " + what)
	}
	t.Skip("needs " + what)
}

// other returns a command that runs this test binary as another process.
func other(ctx context.Context, role, dir string, environment ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "NEBULA_TEST_ROLE="+role, "NEBULA_TEST_DIR="+dir)
	cmd.Env = append(cmd.Env, environment...)
	cmd.Stderr = os.Stderr
	return cmd
}
