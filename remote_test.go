package nebula_test

import (
	"context"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// remote behaves like a backend on a network: it does not compare the keyring, it
// counts versions from 1 for every name, its lists may be late, and a test can step
// into its calls.
type remote struct {
	mu      sync.Mutex
	records map[nebula.Name]nebula.Record
	born    map[nebula.Name]time.Time
	counts  map[nebula.Name]int // of versions; they go on after a deletion

	description nebula.Description
	clock       *clock
	store       func(name nebula.Name, options nebula.StoreOptions) error // before each
	storeCtx    func(context.Context)
	retrieved   func(name nebula.Name, r *nebula.Record) error // after each
	listed      func(context.Context) error                    // before each page
	strangers   []nebula.Entry                                 // further entries in its lists
	failing     nebula.Kind                                    // if not "", looking at a record fails with it
	filters     []nebula.Filter                                // of the lists so far
}

func newRemote() *remote {
	r := &remote{description: nebula.Description{Provider: "remote", Address: "a"}, clock: newClock()}
	r.wipe()
	return r
}

func (r *remote) wipe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records, r.born = make(map[nebula.Name]nebula.Record), make(map[nebula.Name]time.Time)
	r.counts = make(map[nebula.Name]int)
}

// open opens a store whose waiting moves the clock.
func (r *remote) open(t *testing.T, options nebula.Options) *nebula.Store {
	t.Helper()
	options.Now = r.clock.now
	s, err := nebula.Open(t.Context(), r, options)
	if err != nil {
		t.Fatal(err)
	}
	nebula.PassTime(s, r.clock.advance)
	return s
}

// initialised returns a store with a keyring, and its key.
func (r *remote) initialised(t *testing.T) (*nebula.Store, *nebula.KeyFile) {
	t.Helper()
	key := newKeyFile(t)
	s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return s, key
}

func away() error { return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "it is away"} }

// keyringAway makes reading the keyring fail.
func (r *remote) keyringAway() {
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if name.IsKeyring() {
			return away()
		}
		return nil
	}
}

func (r *remote) Describe() nebula.Description { return r.description }

func (r *remote) Store(ctx context.Context, name nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if r.storeCtx != nil {
		r.storeCtx(ctx)
	}
	if r.store != nil {
		if err := r.store(name, o); err != nil {
			return "", err
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, found := r.records[name]
	if err := o.Precondition.Check(old.Version); err != nil {
		return "", err
	}
	if !found {
		r.born[name] = r.clock.now()
	}
	r.counts[name]++
	v := nebula.Version(strconv.Itoa(r.counts[name]))
	r.records[name] = nebula.Record{Envelope: e, Version: v}
	return v, nil
}

func (r *remote) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	if err := ctx.Err(); err != nil {
		return nebula.Record{}, err
	}
	r.mu.Lock()
	record, found := r.records[name]
	r.mu.Unlock()
	if r.failing != "" && !name.IsKeyring() {
		return nebula.Record{}, &nebula.Error{Kind: r.failing, Message: "it fails"}
	}
	if !found {
		return nebula.Record{}, &nebula.Error{Kind: nebula.ErrNotFound}
	}
	if r.retrieved != nil {
		if err := r.retrieved(name, &record); err != nil {
			return nebula.Record{}, err
		}
	}
	return record, nil
}

func (r *remote) Delete(_ context.Context, name nebula.Name, _ nebula.Precondition) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, existed := r.records[name]
	delete(r.records, name)
	return existed, nil
}

func (r *remote) Exists(_ context.Context, name nebula.Name) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing != "" && !name.IsKeyring() {
		return false, &nebula.Error{Kind: r.failing, Message: "it fails"}
	}
	_, found := r.records[name]
	return found, nil
}

func (r *remote) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.filters = append(r.filters, filter)
	p := &remotePager{remote: r, entries: slices.Clone(r.strangers)}
	for name := range r.records {
		late := r.clock.now().Sub(r.born[name]) < r.description.ListLag
		if !name.IsKeyring() && !late {
			p.entries = append(p.entries, nebula.Entry{ID: name.ID()})
		}
	}
	return p
}

type remotePager struct {
	remote  *remote
	entries []nebula.Entry
	page    [1]nebula.Entry // valid until the next call
}

func (p *remotePager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	if p.remote.listed != nil {
		if err := p.remote.listed(ctx); err != nil {
			return nil, err
		}
	}
	if len(p.entries) == 0 {
		return nil, io.EOF
	}
	p.page[0], p.entries = p.entries[0], p.entries[1:]
	return p.page[:], nil
}

func (p *remotePager) Close() error { return nil }
