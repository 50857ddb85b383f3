package keychain

import (
	"context"
	"encoding/base64"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// memoryStore is a keychain in memory. It fails if a test wants it to.
type memoryStore struct {
	items map[string]string
	fails error
	loses bool // it stores another secret than it is given
	gets  int
}

func newMemoryStore() *memoryStore { return &memoryStore{items: make(map[string]string)} }

func (m *memoryStore) get(_ context.Context, account string) (string, error) {
	m.gets++
	text, ok := m.items[account]
	if m.fails == nil && !ok {
		return "", errAbsent
	}
	return text, m.fails
}

func (m *memoryStore) set(_ context.Context, account, secret string) error {
	if m.loses {
		secret = base64.StdEncoding.EncodeToString(make([]byte, slots.SecretSize))
	}
	m.items[account] = secret
	return m.fails
}

func (m *memoryStore) remove(_ context.Context, account string) error {
	delete(m.items, account)
	return m.fails
}

func wantKind(t *testing.T, err error, want nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), want)
	}
}

func openStore(t *testing.T, backend *memory.Backend, keys ...nebula.Key) *nebula.Store {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = backend
	p, err := memory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A store that only the keychain opens is trusted at first use, because nobody else can
// make such a slot. A rotation does not change the keychain.
func TestStoreOfTheKeychain(t *testing.T) {
	m, backend := newMemoryStore(), memory.NewBackend()
	s := openStore(t, backend, newKey(m))
	if _, err := s.Init(t.Context(), newKey(m)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	held := m.items[idOf(t, s)]
	fresh := openStore(t, backend, newKey(m))
	if _, err := fresh.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(m.items) != 1 || m.items[idOf(t, s)] != held {
		t.Error("the rotation changed the keychain")
	}
	if c, err := openStore(t, backend, newKey(m)).Get(t.Context(), "x"); err != nil || string(c.Secret.Reveal()) != "v" {
		t.Errorf("after a rotation: %v", err)
	}
	_, err := openStore(t, backend, newKey(newMemoryStore())).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnauthenticated)
	m.fails = unavailable("it is locked", nil)
	_, err = openStore(t, backend, newKey(m)).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnavailable)
}

func idOf(t *testing.T, s *nebula.Store) string {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil || len(info.Slots) != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	return info.Slots[0].ID
}

func TestKeychainIsAskedOnce(t *testing.T) {
	m := newMemoryStore()
	slot, secret, err := newKey(m).NewSlot(t.Context(), "abcdefgh", [16]byte{1})
	if err != nil || slot.ID != "abcdefgh" || slot.Kind != nebula.SlotKeychain || slot.Salt != [16]byte{1} {
		t.Fatalf("%+v, %v", slot, err)
	}
	k := newKey(m)
	m.gets = 0
	for range 3 {
		if got, err := k.Secret(t.Context(), slot); err != nil || string(got) != string(secret) {
			t.Fatal(err)
		}
	}
	if m.gets != 1 {
		t.Errorf("the keychain was asked %d times", m.gets)
	}
}

func TestSlotsThatAreNotOpened(t *testing.T) {
	m := newMemoryStore()
	slot, _, err := newKey(m).NewSlot(t.Context(), "abcdefgh", [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", m.items[slot.ID][:40], m.items[slot.ID] + "AAAA"} {
		m.items[slot.ID] = text
		_, err := newKey(m).Secret(t.Context(), slot)
		wantKind(t, err, nebula.ErrCorrupted)
	}
	moved := slot
	moved.ID = "abcdefg2"
	m.gets = 0
	_, err = newKey(m).Secret(t.Context(), moved)
	wantKind(t, err, nebula.ErrCorrupted)
	if m.gets != 0 {
		t.Error("the keychain was asked for the account of another slot")
	}
	m.loses = true
	_, _, err = newKey(m).NewSlot(t.Context(), "abcdefg3", [16]byte{})
	wantKind(t, err, nebula.ErrUnavailable)
}
