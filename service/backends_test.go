package service_test

import (
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider/local"
)

func TestMemory(t *testing.T) {
	runSuite(t, func(t *testing.T) *nebula.Store { return nebulatest.NewStore(t).Store })
}

func TestLocal(t *testing.T) {
	runSuite(t, openLocal)
}

func openLocal(t *testing.T) *nebula.Store {
	t.Helper()
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(t.TempDir(), "store")
	p, err := local.New(config)
	return openStore(t, p, err)
}

// openStore makes a store on a backend.
func openStore(t *testing.T, p nebula.Provider, err error) *nebula.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	key := newKeyFile(t)
	store, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return store
}

func newKeyFile(t *testing.T) *nebula.KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return &nebula.KeyFile{Path: path}
}
