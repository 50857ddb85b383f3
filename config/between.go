package config

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula"
)

// OpenBetween opens two stores to copy from one to the other. Each is named by its
// own name, or by that of a provider: this is the store that [storage] would
// describe with that provider, with the keys of the default store. If both have
// one [key], the keys that open one are tried on the other, so that nobody is
// asked twice.
//
// [Source].Between says in [Load] what will be opened.
func (c *Config) OpenBetween(ctx context.Context, from, to string, options OpenOptions) (a, b *Opened, err error) {
	source, err := c.findEither(from)
	if err != nil {
		return nil, nil, err
	}
	destination, err := c.findEither(to)
	if err != nil {
		return nil, nil, err
	}
	if a, err = c.open(ctx, source, options, (*Keys).all); err != nil {
		return nil, nil, err
	}
	keysOf := (*Keys).all
	if source.name == destination.name {
		keysOf = func(*Keys) ([]nebula.Key, error) { return a.keys, nil }
	}
	if b, err = c.open(ctx, destination, options, keysOf); err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	a.Name, b.Name = orDefault(from), orDefault(to)
	return a, b, nil
}

// findEither returns the store of that name, or the one within [storage].
func (c *Config) findEither(name string) (*store, error) {
	if s := c.within(name); s != nil {
		return s, nil
	}
	s, err := c.find(name)
	if err == nil {
		return s, nil
	}
	all := append(c.Names(), c.providers.names()...)
	return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "configuration",
		Message: "there is no store and no provider " + display(name) + suggest(name, all),
		Hint:    c.whereToAdd(name) + ", or name a provider, whose settings are in [storage.PROVIDER]"}
}

// within returns the store that [storage] would describe with a provider, or nil if
// there is no provider of that name. No store can have such a name.
func (c *Config) within(name string) *store {
	if !slices.Contains(c.providers.names(), name) {
		return nil
	}
	s := *c.stores[DefaultStore]
	if s.shared.Provider == name {
		return c.stores[DefaultStore]
	}
	s.shared.Provider = name
	return &s
}

// Sides returns the names that OpenBetween takes, sorted.
func (c *Config) Sides() []string {
	return slices.Sorted(slices.Values(append(c.Names(), c.providers.names()...)))
}

// HasStore reports whether there is a store of that name.
func (c *Config) HasStore(name string) bool { return c.stores[orDefault(name)] != nil }
