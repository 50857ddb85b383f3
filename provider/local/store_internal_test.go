package local

import (
	"errors"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/providertest"
)

// TestKeyIsRemembered: the key of the keyring is remembered as soon as a change of
// its file would be noticed. It is then compared as before, and forgotten if the file
// changes.
func TestKeyIsRemembered(t *testing.T) {
	t.Parallel()
	d, f := newInside(t)
	store := func(key [32]byte) error {
		at := time.Now()
		e, err := nebula.SealRecord(key, f.name("id"), nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: at, LastModified: at})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Store(t.Context(), f.name("id"), e, nebula.StoreOptions{})
		return err
	}
	put := func() {
		t.Helper()
		if _, err := f.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	compares := func(remembered bool) {
		t.Helper()
		if err := store(providertest.DataKey()); err != nil {
			t.Errorf("under the key of the keyring: %v", err)
		}
		if err := store([32]byte{}); !errors.Is(err, nebula.ErrKeyChanged) {
			t.Errorf("under another key: %v", err)
		}
		stat, err := f.base.Lstat(keyringFile(d.naming))
		if err != nil || (d.keyring.stat == stat) != remembered {
			t.Errorf("it is remembered: %v, %v", !remembered, err)
		}
	}
	put()
	compares(false)
	time.Sleep(2100 * time.Millisecond)
	compares(true)
	put()
	compares(false)
	if err := f.base.Remove(keyringFile(d.naming)); err != nil {
		t.Fatal(err)
	}
	if err := store([32]byte{}); err != nil {
		t.Errorf("without a keyring: %v", err)
	}
}
