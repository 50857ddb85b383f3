package transfer_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
)

// place is a store of a test, on a backend that the test can open again.
type place struct {
	*nebula.Store
	open  func(nebula.Options, ...provider.Option) *nebula.Store // opens the backend again
	calls *calls
	raw   nebula.Provider // on the same backend, not counted
}

// calls counts the calls that reach the provider of a place, and can step in before and
// after one.
type calls struct {
	mu     sync.Mutex
	made   map[string]int
	before func(provider.Call) error
	after  func(provider.Call)
}

func (c *calls) intercept(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	c.mu.Lock()
	c.made[call.Op]++
	before, after := c.before, c.after
	c.mu.Unlock()
	if before != nil {
		if err := before(call); err != nil {
			return err
		}
	}
	err := next(ctx)
	if err == nil && after != nil {
		after(call)
	}
	return err
}

func (c *calls) count(op string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[op]
}

func (c *calls) step(before func(provider.Call) error, after func(provider.Call)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after, c.made = before, after, map[string]int{}
}

func opener(t *testing.T, c *calls, connect func(...provider.Option) nebula.Provider) func(nebula.Options, ...provider.Option) *nebula.Store {
	return func(o nebula.Options, options ...provider.Option) *nebula.Store {
		t.Helper()
		s, err := nebula.Open(t.Context(), connect(append(options, provider.WithInterceptors(c.intercept))...), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// kinds are the places that tests run on.
var kinds = map[string]func(*testing.T, nebula.Options) *place{"memory": inMemory, "local": inFiles}

func inMemory(t *testing.T, o nebula.Options) *place {
	t.Helper()
	c := memory.DefaultConfig()
	c.Backend = memory.NewBackend()
	return placeOf(t, o, func(options ...provider.Option) nebula.Provider { return made(t)(memory.New(c, options...)) })
}

// abilities are the abilities of a provider that a copy uses.
type abilities interface {
	nebula.Provider
	nebula.Connector
	nebula.Describer
	nebula.Identifier
}

// narrow is a provider that holds small records with few tags.
type narrow struct{ abilities }

const maxTags = 2

func (n narrow) Fits(_ nebula.Name, e *nebula.Envelope) error {
	if len(e.Metadata().Tags) > maxTags {
		return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "too many tags"}
	}
	return nil
}

func (n narrow) Store(ctx context.Context, name nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if err := n.Fits(name, e); err != nil {
		return "", err
	}
	return n.abilities.Store(ctx, name, e, o)
}

func inNarrow(t *testing.T, o nebula.Options) *place {
	t.Helper()
	c := memory.DefaultConfig()
	c.Backend, c.MaxRecordSize = memory.NewBackend(), 4096
	return placeOf(t, o, func(options ...provider.Option) nebula.Provider {
		return narrow{made(t)(memory.New(c, options...)).(abilities)}
	})
}

// nameless is a provider that cannot tell which backend it is on.
type nameless struct {
	nebula.Provider
	nebula.Connector
	nebula.Describer
}

func inFiles(t *testing.T, o nebula.Options) *place {
	t.Helper()
	c := local.DefaultConfig()
	c.BasePath = filepath.Join(t.TempDir(), "credentials")
	return placeOf(t, o, func(options ...provider.Option) nebula.Provider { return made(t)(local.New(c, options...)) })
}

func made(t *testing.T) func(nebula.Provider, error) nebula.Provider {
	return func(p nebula.Provider, err error) nebula.Provider {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func placeOf(t *testing.T, o nebula.Options, connect func(...provider.Option) nebula.Provider) *place {
	t.Helper()
	p := &place{calls: &calls{made: map[string]int{}}}
	p.open = opener(t, p.calls, connect)
	p.raw = connect()
	if err := p.raw.(nebula.Connector).Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.raw.(nebula.Connector).Close() })
	p.Store = p.open(o)
	return p
}

// keyFile returns a new key file.
func keyFile(t *testing.T) *nebula.KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return &nebula.KeyFile{Path: path}
}

// filled returns an initialised store with n credentials, and its key.
func filled(t *testing.T, kind func(*testing.T, nebula.Options) *place, n int) (*place, nebula.Options) {
	t.Helper()
	o := nebula.Options{Keys: []nebula.Key{keyFile(t)}}
	p := kind(t, o)
	if _, err := p.Init(t.Context(), o.Keys[0]); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		put(t, p.Store, id(i), fmt.Sprintf("value %d", i), nebula.PutOptions{
			Tags: map[string]string{"n": fmt.Sprint(i)}, RotationPolicy: &nebula.RotationPolicy{IntervalDays: uint32(i % 3)}})
	}
	p.calls.step(nil, nil)
	return p, o
}

func id(i int) nebula.ID { return nebula.ID(fmt.Sprintf("c%04d", i)) }

func put(t *testing.T, s *nebula.Store, id nebula.ID, value string, o nebula.PutOptions) nebula.Version {
	t.Helper()
	v, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func value(t *testing.T, s *nebula.Store, id nebula.ID) string {
	t.Helper()
	c, err := s.Get(t.Context(), id)
	if err != nil {
		return string(nebula.KindOf(err))
	}
	return string(c.Secret.Reveal())
}

// contents returns the sealed records of a store, by id.
func contents(t *testing.T, s *nebula.Store) map[nebula.ID]string {
	t.Helper()
	all := make(map[nebula.ID]string)
	for e, err := range s.List(t.Context(), nebula.ListOptions{}) {
		if err != nil && nebula.KindOf(err) == nebula.ErrNotFound {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.GetSealed(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		all[e.ID] = string(r.Envelope.Bytes())
	}
	return all
}

// described returns the values and metadata of a store, which stay when a record is sealed
// anew.
func described(t *testing.T, s *nebula.Store) map[nebula.ID]string {
	t.Helper()
	all := make(map[nebula.ID]string)
	for id := range contents(t, s) {
		c, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		m := c.Metadata
		all[id] = fmt.Sprintf("%s %s %s %s %s %d %v", c.Secret.Reveal(), m.CreatedAt.Format(time.RFC3339Nano), m.LastModified.Format(time.RFC3339Nano),
			m.CreatedBy, m.Scope, m.RotationPolicy.IntervalDays, m.Tags)
	}
	return all
}

func ids(from, to int) []nebula.ID {
	list := []nebula.ID{}
	for i := from; i < to; i++ {
		list = append(list, id(i))
	}
	return list
}

func wantIDs(t *testing.T, what string, got []nebula.ID, want ...nebula.ID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// swap replaces a record, as anyone who can write to the backend can.
func (p *place) swap(t *testing.T, id nebula.ID, e *nebula.Envelope) {
	t.Helper()
	name, err := id.Name()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := p.raw.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	// The provider refuses a record of another data key than the keyring's.
	for _, step := range []struct {
		name nebula.Name
		e    *nebula.Envelope
	}{{nebula.KeyringName(), e}, {name, e}, {nebula.KeyringName(), ring.Envelope}} {
		if _, err := p.raw.Store(t.Context(), step.name, step.e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *place) slots(t *testing.T) (ids []string) {
	t.Helper()
	info, err := p.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range info.Slots {
		ids = append(ids, slot.ID)
	}
	return ids
}
