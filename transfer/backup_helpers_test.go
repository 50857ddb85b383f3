package transfer_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/transfer"
)

// testStore is a store in memory.
type testStore struct {
	*nebula.Store
	provider nebula.Provider
	key      nebula.Key
}

func newKey(t testing.TB) nebula.Key {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return &nebula.KeyFile{Path: path}
}

// emptyStore returns a store that has no keyring yet.
func emptyStore(t testing.TB, options nebula.Options) *testStore {
	t.Helper()
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	return storeOn(t, p, options)
}

func storeOn(t testing.TB, p nebula.Provider, options nebula.Options) *testStore {
	t.Helper()
	s, err := nebula.Open(t.Context(), p, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &testStore{Store: s, provider: p}
}

// newStore returns a store with a key of its own.
func newStore(t testing.TB) *testStore {
	t.Helper()
	key := newKey(t)
	s := emptyStore(t, nebula.Options{Keys: []nebula.Key{key}})
	s.key = key
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return s
}

// like returns an empty store that has the key of s at hand.
func (s *testStore) like(t testing.TB) *testStore {
	t.Helper()
	return emptyStore(t, nebula.Options{Keys: []nebula.Key{s.key}})
}

func (s *testStore) put(t testing.TB, id nebula.ID, value string, tags ...string) {
	t.Helper()
	set := map[string]string{}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		set[key] = value
	}
	if _, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{Tags: set}); err != nil {
		t.Fatal(err)
	}
}

// contents returns the values and metadata of all credentials.
func (s *testStore) contents(t testing.TB) map[nebula.ID]string {
	t.Helper()
	all := make(map[nebula.ID]string)
	for e, err := range s.List(t.Context(), nebula.ListOptions{}) {
		if nebula.KindOf(err) == nebula.ErrNotFound {
			break // the store has no keyring
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Get(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		all[e.ID] = fmt.Sprintf("%q %+v", c.Secret.Reveal(), c.Metadata)
	}
	return all
}

// output is an export in memory.
type output struct{ bytes.Buffer }

func (o *output) Reset() error {
	o.Buffer.Reset()
	return nil
}

func export(t testing.TB, s *nebula.Store, options transfer.ExportOptions) ([]byte, transfer.ExportReport) {
	t.Helper()
	var out output
	options.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }
	report, err := transfer.Export(t.Context(), s, &out, options)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), report
}

func openBackup(data []byte) (*transfer.Backup, error) {
	return transfer.OpenBackup(bytes.NewReader(data), int64(len(data)))
}

func mustOpen(t testing.TB, data []byte) *transfer.Backup {
	t.Helper()
	b, err := openBackup(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// closed returns the lines of an export with an end mark that fits them.
func closed(lines [][]byte) []byte {
	text := bytes.Join(lines, nil)
	return fmt.Appendf(text, "{\"records\":%d,\"sha256\":\"%x\"}\n", len(lines)-2, sha256.Sum256(text))
}

// linesOf returns the lines of an export without its end mark.
func linesOf(data []byte) [][]byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	return lines[:len(lines)-2]
}

func wantKind(t testing.TB, err error, want nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), want)
	}
}
