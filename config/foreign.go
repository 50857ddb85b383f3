package config

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// OpenProvider connects the provider of a store, without its keys, for programs that read
// secrets of others in the same backend: see package provider. The name is that of a
// store or of a provider, as for [Config.OpenBetween]. The caller calls closeIt.
func (c *Config) OpenProvider(ctx context.Context, name string, options OpenOptions) (p nebula.Provider, closeIt func() error, err error) {
	s, err := c.findEither(name)
	if err != nil {
		return nil, nil, err
	}
	if p, err = c.construct(s, options.withDefaults(c.environ)); err != nil {
		return nil, nil, err
	}
	life, ok := nebula.As[nebula.Connector](p)
	if !ok {
		return p, func() error { return nil }, nil
	}
	if err := life.Connect(ctx); err != nil {
		_ = life.Close()
		return nil, nil, err
	}
	return p, life.Close, nil
}
