package config

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/reference"
)

// Resolved is the value of a reference.
type Resolved struct {
	Reference reference.Reference
	Value     nebula.Secret // empty after an error
	Err       error
}

// Resolve is [Resolver.Resolve] of a Resolver that is made and closed.
func (c *Config) Resolve(ctx context.Context, refs []reference.Reference, options OpenOptions) ([]Resolved, error) {
	r := c.NewResolver(options)
	results := r.Resolve(ctx, refs)
	return results, r.Close()
}

// Resolver reads the values of references. It opens each store that they name
// when it is first needed, and holds it open. One goroutine at a time may use it.
type Resolver struct {
	config  *Config
	options OpenOptions
	stores  map[string]opening
}

type opening struct {
	store *Opened
	err   error
}

// NewResolver returns a Resolver, to be closed. It opens nothing yet.
func (c *Config) NewResolver(options OpenOptions) *Resolver {
	return &Resolver{config: c, options: options, stores: make(map[string]opening)}
}

// Open returns a store by its name; "" is the default one. The Resolver closes it.
func (r *Resolver) Open(ctx context.Context, name string) (*Opened, error) {
	name = orDefault(name)
	o, ok := r.stores[name]
	if !ok {
		o.store, o.err = r.config.Open(ctx, name, r.options)
		r.stores[name] = o
	}
	return o.store, o.err
}

// Close closes the stores.
func (r *Resolver) Close() error {
	var errs []error
	for _, o := range r.stores {
		if o.store != nil {
			errs = append(errs, o.store.Close())
		}
	}
	clear(r.stores)
	return errors.Join(errs...)
}

// Resolve reads the values of references, in as few calls as the backends allow,
// and returns one result for each, in their order. If a store cannot be opened,
// only its references fail.
func (r *Resolver) Resolve(ctx context.Context, refs []reference.Reference) []Resolved {
	results := make([]Resolved, len(refs))
	inStore := make(map[string][]int)
	var names []string // in the order in which they are first named
	for i, ref := range refs {
		results[i].Reference = ref
		name := orDefault(ref.Store)
		if inStore[name] == nil {
			names = append(names, name)
		}
		inStore[name] = append(inStore[name], i)
	}
	for _, name := range names {
		r.resolveIn(ctx, name, inStore[name], results)
	}
	return results
}

// resolveIn resolves the references to one store, which are at these places.
func (r *Resolver) resolveIn(ctx context.Context, name string, places []int, results []Resolved) {
	store, err := r.Open(ctx, name)
	if err != nil {
		for _, i := range places {
			results[i].Err = err
		}
		return
	}
	var ids []nebula.ID
	var current, older []int
	for _, i := range places {
		if ref := results[i].Reference; ref.Version != "" {
			older = append(older, i)
		} else {
			current, ids = append(current, i), append(ids, ref.ID)
		}
	}
	for n, got := range store.GetMany(ctx, ids) {
		results[current[n]].take(got.Credential, got.Err)
	}
	var group errgroup.Group
	group.SetLimit(store.MaxConcurrency)
	for _, i := range older {
		group.Go(func() error {
			results[i].take(store.GetVersion(ctx, results[i].Reference.ID, results[i].Reference.Version))
			return nil
		})
	}
	_ = group.Wait() // failures are in the results
}

// take keeps the part of a credential that the reference selects, and wipes the
// rest.
func (r *Resolved) take(c nebula.Credential, err error) {
	if err != nil {
		r.Err = err
		return
	}
	if r.Reference.Field == "" {
		r.Value = c.Secret
		return
	}
	selected, err := r.Reference.Select(c.Secret.Reveal())
	if err == nil {
		r.Value = nebula.NewSecret(selected)
	}
	r.Err = err
	c.Secret.Wipe()
}
