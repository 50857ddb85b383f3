package local

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/providertest"
)

// TestKeyringIsNotReplaced: the file system makes sure that a keyring is made once, also if
// another one comes between the check and the write. Another failure is told as it is.
func TestKeyringIsNotReplaced(t *testing.T) {
	_, f := newInside(t)
	file := keyringFile(f.naming)
	for _, test := range []struct {
		file  string
		fails nebula.Kind
	}{{file, ""}, {file, nebula.ErrAlreadyExists}, {strings.Repeat("x", 300), nebula.ErrInternal}} {
		staged, errs := f.base.StageAll([][]byte{[]byte("text")})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		if err := commitNew(staged[0], test.file); nebula.KindOf(err) != test.fails {
			t.Errorf("%v, want kind %q", err, test.fails)
		}
	}
}

// TestNothingToRemove: of what has gone meanwhile it is not told that it was deleted.
func TestNothingToRemove(t *testing.T) {
	d, f := newInside(t)
	if existed, err := d.removeLocked(f.base, "absent", nebula.Precondition{}); existed || err != nil {
		t.Errorf("%v, %v", existed, err)
	}
}

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
