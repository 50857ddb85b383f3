package memory_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

func newProvider(t *testing.T, config memory.Config, options ...provider.Option) full {
	t.Helper()
	p, err := memory.New(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	return p.(full)
}

func hold(t *testing.T, config memory.Config, b *memory.Backend, options ...provider.Option) held {
	config.Backend = b
	return held{newProvider(t, config, options...), b}
}

func harness() providertest.Harness {
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			return hold(t, memory.DefaultConfig(), memory.NewBackend(), options...)
		},
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider {
			return hold(t, memory.DefaultConfig(), p.(held).backend)
		},
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			memory.Corrupt(t, p.(held).backend, name, raw)
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.BatchStorer, providertest.Notifier, providertest.Identifier, providertest.Checker,
		},
		MaxRecordSize:   16 << 20,
		ComparesKeyring: true,
	}
}

func TestConformance(t *testing.T) { providertest.Run(t, harness()) }

func TestNewRefusesConfig(t *testing.T) {
	for _, config := range []memory.Config{{}, {MaxVersions: 1}, {MaxRecordSize: 1}, {MaxVersions: -1, MaxRecordSize: 1}} {
		if p, err := memory.New(config); p != nil || !errors.Is(err, nebula.ErrInvalidConfig) {
			t.Errorf("New(%+v) = %v, %v, want ErrInvalidConfig", config, p, err)
		}
	}
}

func TestVersionsAreBounded(t *testing.T) {
	config := memory.DefaultConfig()
	config.MaxVersions = 3
	p := newProvider(t, config)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("bounded").Name()
	var stored []nebula.Version
	for i := range 5 {
		envelope, err := nebula.SealRecord([32]byte{}, name, nebula.NewSecret([]byte(fmt.Sprint(i))), nebula.Metadata{
			CreatedAt: example(), LastModified: example()})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Store(t.Context(), name, envelope, nebula.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, v)
	}
	history, err := p.History(t.Context(), name)
	if err != nil || len(history) != 3 || history[0].Version != stored[4] || history[2].Version != stored[2] {
		t.Fatalf("history %v, %v, want the last three of %v, newest first", history, err, stored)
	}
	if _, err := p.RetrieveVersion(t.Context(), name, stored[1]); !errors.Is(err, nebula.ErrNotFound) {
		t.Errorf("a version over the bound: %v, want ErrNotFound", err)
	}
}
