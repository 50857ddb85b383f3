// Package nebulatest gives tests a store of their own. It is in memory, has a
// key, is ready at once, and has the faults that a test wants to see.
//
//	store := nebulatest.NewStore(t)
//	store.Set("db_password", "secret")
//	…
//	store.Fail(nebula.ErrUnavailable)
package nebulatest

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// Store is a store in memory with faults. Several goroutines may use it.
type Store struct {
	*nebula.Store
	t       testing.TB
	backend *memory.Backend
	key     key
	other   *nebula.Store // a store without faults, as in another process

	mu    sync.Mutex
	kind  nebula.Kind // the kind of the failure; "" for none
	left  int         // the number of failures to come; negative: no end
	op    string      // the operation that fails; "" for all
	delay time.Duration
	once  func()         // called before the next write
	calls map[string]int // number of calls by operation
}

// NewStore returns an initialised store without credentials. It is closed at the end
// of the test. It makes no files and derives no keys from passphrases.
func NewStore(t testing.TB) *Store {
	t.Helper()
	return NewStoreWith(t, nebula.Options{})
}

// NewStoreWith is [NewStore] with options, for example with a cache. It sets Keys and
// DataKeys itself.
func NewStoreWith(t testing.TB, options nebula.Options) *Store {
	t.Helper()
	s := &Store{t: t, backend: memory.NewBackend(), key: newKey(), calls: make(map[string]int)}
	s.Store = s.open(options, provider.WithInterceptors(s.intercept))
	s.other = s.open(nebula.Options{})
	if _, err := s.other.Init(context.Background(), s.key); err != nil {
		t.Fatalf("nebulatest: %v", err)
	}
	return s
}

func (s *Store) open(storeOptions nebula.Options, options ...provider.Option) *nebula.Store {
	s.t.Helper()
	config := memory.DefaultConfig()
	config.Backend = s.backend
	p, err := memory.New(config, options...)
	if err != nil {
		s.t.Fatalf("nebulatest: %v", err)
	}
	storeOptions.Keys, storeOptions.DataKeys = []nebula.Key{s.key}, nil
	store, err := nebula.Open(context.Background(), p, storeOptions)
	if err != nil {
		s.t.Fatalf("nebulatest: %v", err)
	}
	s.t.Cleanup(func() { _ = store.Close() })
	return store
}

// Set stores a value, as another process would. Faults do not affect it.
func (s *Store) Set(id nebula.ID, value string) nebula.Version {
	s.t.Helper()
	v, err := s.other.Put(context.Background(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{})
	if err != nil {
		s.t.Fatalf("nebulatest: %v", err)
	}
	return v
}

// Remove deletes a credential, as another process would.
func (s *Store) Remove(id nebula.ID) {
	s.t.Helper()
	if _, err := s.other.Delete(context.Background(), id, nebula.DeleteOptions{}); err != nil {
		s.t.Fatalf("nebulatest: %v", err)
	}
}

// Value returns the stored value, and fails the test if it cannot be read. Faults do
// not affect it.
func (s *Store) Value(id nebula.ID) string {
	s.t.Helper()
	c, err := s.other.Get(context.Background(), id)
	if err != nil {
		s.t.Fatalf("nebulatest: %v", err)
	}
	defer c.Secret.Wipe()
	return string(c.Secret.Reveal())
}

// Fail makes every call of the backend fail with a kind, until [Store.Mend].
// ErrUnavailable simulates an outage, ErrPermissionDenied a change of policy.
func (s *Store) Fail(kind nebula.Kind) { s.FailTimes(kind, "", -1) }

// FailTimes makes the next calls of an operation fail. The operation is one of
// the constants of package provider, or "" for any. The store does not repeat
// these calls.
func (s *Store) FailTimes(kind nebula.Kind, op string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kind, s.op, s.left = kind, op, times
}

// Slow delays every call of the backend by that time.
func (s *Store) Slow(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

// BeforeWrite calls f once, before the next write or deletion reaches the backend. In
// f the test can act as another process, for example with [Store.Set].
func (s *Store) BeforeWrite(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once = f
}

// Mend ends all faults.
func (s *Store) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kind, s.left, s.op, s.delay, s.once = "", 0, "", 0, nil
}

// Calls returns how often an operation was called. The operation is one of the
// constants of package provider. Reads of the keyring count. The calls of
// [Store.Set], [Store.Remove] and [Store.Value] do not.
func (s *Store) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *Store) intercept(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	delay, before, failure := s.meet(call)
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if failure != nil {
		return failure
	}
	if before != nil {
		before()
	}
	return next(ctx)
}

// meet applies the faults to a call.
func (s *Store) meet(call provider.Call) (delay time.Duration, before func(), failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call.Op == provider.OpConnect {
		return 0, nil, nil
	}
	s.calls[call.Op]++
	if s.kind != "" && s.left != 0 && (s.op == "" || s.op == call.Op) {
		s.left = max(s.left-1, -1)
		return s.delay, nil, &nebula.Error{Kind: s.kind, Op: call.Op, Provider: call.Provider, ID: call.Name.ID(), Message: "a fault that the test asked for"}
	}
	switch call.Op {
	case provider.OpStore, provider.OpStoreBatch, provider.OpDelete, provider.OpPurge:
		before, s.once = s.once, nil
	}
	return s.delay, before, nil
}

// key opens the store like a key file, but without a file.
type key struct{ secret []byte }

func newKey() key {
	k := key{make([]byte, 32)}
	_, _ = rand.Read(k.secret) // never fails
	return k
}

// Opens implements [nebula.Key].
func (k key) Opens(kind string) bool { return kind == nebula.SlotKeyFile }

// Secret implements [nebula.Key].
func (k key) Secret(context.Context, nebula.Slot) ([]byte, error) { return k.secret, nil }

// NewSlot implements [nebula.Key].
func (k key) NewSlot(_ context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	return nebula.Slot{ID: id, Kind: nebula.SlotKeyFile, Salt: salt}, k.secret, nil
}
