package nebula_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider/local"
)

func TestAbilities(t *testing.T) {
	if got, want := nebulatest.NewStore(t).Abilities(), (nebula.Abilities{Restore: true, History: true, OldVersions: true, Preconditions: true}); got != want {
		t.Errorf("memory: %+v", got)
	}
	for locking, want := range map[bool]nebula.Abilities{true: {Preconditions: true}, false: {}} {
		config := local.DefaultConfig()
		config.BasePath, config.EnableLocking = filepath.Join(t.TempDir(), "store"), locking
		p, err := local.New(config)
		if err != nil {
			t.Fatal(err)
		}
		store, err := nebula.Open(t.Context(), p, nebula.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if got := store.Abilities(); got != want {
			t.Errorf("local, locking %v: %+v", locking, got)
		}
	}
}

// Put tells whether it made the credential, even if somebody else made or removed it in
// between.
func TestPutTellsWhatItMade(t *testing.T) {
	store := nebulatest.NewStore(t)
	put := func(options nebula.PutOptions, want bool) {
		t.Helper()
		created := !want
		options.Created = &created
		if _, err := store.Put(t.Context(), "a", nebula.NewSecret([]byte("v")), options); err != nil {
			t.Fatal(err)
		}
		if created != want {
			t.Errorf("created: %v", created)
		}
	}
	put(nebula.PutOptions{}, true)
	put(nebula.PutOptions{}, false)
	put(nebula.PutOptions{Force: true}, false)
	store.Remove("a")
	put(nebula.PutOptions{IfAbsent: true}, true)
	store.BeforeWrite(func() { store.Remove("a") })
	put(nebula.PutOptions{}, true)
	store.Remove("a")
	store.BeforeWrite(func() { store.Set("a", "other") })
	put(nebula.PutOptions{}, false)
	c, err := store.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	put(nebula.PutOptions{IfVersion: c.Version}, false)
	c, _ = store.Get(t.Context(), "a")
	put(nebula.PutOptions{Previous: &c}, false)

	created := true
	if _, err := store.Put(t.Context(), "a", c.Secret, nebula.PutOptions{IfVersion: "x", Created: &created}); !errors.Is(err, nebula.ErrConflict) {
		t.Errorf("%v", err)
	}
}
