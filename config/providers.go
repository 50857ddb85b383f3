package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
)

// drivers lists the providers that a configuration can name. A new one is one
// line here: its name is its section, [storage.NAME], and the koanf tags of its
// configuration are the keys in it.
func drivers() []driver {
	return []driver{
		register("local", local.DefaultConfig, local.New),
		register("memory", memory.DefaultConfig, memory.New),
	}
}

// driver is a provider that is not configured yet.
type driver struct {
	name     string
	defaults func() any                         // a pointer to its configuration
	open     func(any) (nebula.Provider, error) // takes such a pointer
}

func register[C any, P nebula.Provider](name string, defaults func() C, open func(C) (P, error)) driver {
	return driver{
		name:     name,
		defaults: func() any { c := defaults(); return &c },
		open: func(c any) (nebula.Provider, error) {
			p, err := open(*c.(*C))
			if err != nil {
				return nil, err // not p: a nil pointer in an interface is not nil
			}
			return p, nil
		},
	}
}

func driverNames() []string {
	var names []string
	for _, d := range drivers() {
		names = append(names, d.name)
	}
	return names
}
