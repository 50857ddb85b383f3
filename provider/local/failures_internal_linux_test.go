package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/openfiles"
	"github.com/nebula-credential/nebula/providertest"
)

// TestFailuresAreNotAbsence: if a file cannot be looked at, it does not count as absent,
// a condition not as met, a name not as free, and nothing as done.
func TestFailuresAreNotAbsence(t *testing.T) {
	asIs := func(*driver, *base) {}
	folds := func(_ *driver, b *base) { b.folds.Store(foldYes) }
	unknown := func(_ *driver, b *base) {
		b.folds.Store(foldUnknown)
		if err := os.WriteFile(filepath.Join(b.Path(), ".LOCK"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A file system that does not have names as long as we make them.
	short := func(d *driver, _ *base) { d.naming.suffix = "." + strings.Repeat("x", 300) }
	closed := func(_ *driver, b *base) { _ = b.Dir.Close() }
	keyring := nebula.KeyringName()
	for _, test := range []struct {
		what string
		made func(*driver, *base)
		do   func(*driver, *base, folding, *nebula.Envelope) error
	}{
		{"may be replaced: the version", asIs, func(d *driver, b *base, f folding, e *nebula.Envelope) error {
			return d.mayReplace(b, f.name("id"), e, nebula.IfVersion("other"))
		}},
		{"may be replaced: whether it is there", asIs, func(d *driver, b *base, f folding, e *nebula.Envelope) error {
			return d.mayReplace(b, f.name("id"), e, nebula.IfAbsent())
		}},
		{"may be replaced: the key", asIs, func(d *driver, b *base, f folding, e *nebula.Envelope) error {
			return d.mayReplace(b, f.name("id"), e, nebula.Precondition{})
		}},
		{"may be replaced: a twin", folds, func(d *driver, b *base, _ folding, e *nebula.Envelope) error {
			return d.mayReplace(b, keyring, e, nebula.Precondition{})
		}},
		{"may be replaced: whether case matters", unknown, func(d *driver, b *base, _ folding, e *nebula.Envelope) error {
			return d.mayReplace(b, keyring, e, nebula.Precondition{})
		}},
		{"may be replaced: the file", short, func(d *driver, b *base, _ folding, e *nebula.Envelope) error {
			return d.mayReplace(b, keyring, e, nebula.Precondition{})
		}},
		{"has a file", short, func(d *driver, b *base, f folding, _ *nebula.Envelope) error {
			_, err := d.hasFile(b, d.naming.file(f.name("id")))
			return err
		}},
		{"has a key", short, func(d *driver, b *base, _ folding, e *nebula.Envelope) error { return d.checkKey(b, e) }},
		{"delete", short, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			return deleted(f.Delete(f.Context(), f.name("id"), nebula.Precondition{}))
		}},
		{"remove: the version", asIs, func(d *driver, b *base, f folding, _ *nebula.Envelope) error {
			return deleted(d.removeLocked(b, d.naming.file(f.name("id")), nebula.IfVersion("other")))
		}},
		{"remove: a twin", folds, func(d *driver, b *base, f folding, _ *nebula.Envelope) error {
			return deleted(d.removeLocked(b, d.naming.file(f.name("id")), nebula.Precondition{}))
		}},
		{"remove: the file", short, func(d *driver, b *base, f folding, _ *nebula.Envelope) error {
			return deleted(d.removeLocked(b, d.naming.file(f.name("id")), nebula.Precondition{}))
		}},
		{"retrieve", asIs, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			_, err := f.Retrieve(f.Context(), f.name("id"))
			return err
		}},
		{"exists", short, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			_, err := f.Exists(f.Context(), f.name("id"))
			return err
		}},
		{"exists: a twin", folds, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			_, err := f.Exists(f.Context(), f.name("id"))
			return err
		}},
		{"is exactly", folds, func(d *driver, b *base, f folding, _ *nebula.Envelope) error {
			_, err := b.isExactly(d.naming, d.naming.file(f.name("id")))
			return err
		}},
		{"folds case: the keyring", short, func(d *driver, b *base, _ folding, _ *nebula.Envelope) error {
			b.folds.Store(foldUnknown)
			_ = b.Remove(lockName)
			_, err := b.foldsCase(d.naming)
			return err
		}},
		{"folds case: any name", unknown, func(d *driver, b *base, _ folding, _ *nebula.Envelope) error {
			_, _ = b.Remove(lockName), b.Remove(keyringFile(d.naming))
			_, err := b.foldsCase(d.naming)
			return err
		}},
		{"describe", asIs, func(d *driver, b *base, _ folding, _ *nebula.Envelope) error {
			_, err := d.describe(b, "id")
			return err
		}},
		{"list", asIs, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			pager := f.List(f.Context(), nebula.Filter{})
			defer pager.Close()
			_, err := pager.NextPage(f.Context())
			return err
		}},
		{"open", asIs, func(_ *driver, b *base, _ folding, _ *nebula.Envelope) error {
			_, err := openBase(b.Path())
			return err
		}},
		{"open another directory", asIs, func(d *driver, b *base, _ folding, _ *nebula.Envelope) error {
			d.bases.current.Store(nil)
			defer d.bases.current.Store(b)
			_, err := d.bases.open()
			return err
		}},
		{"try fold", asIs, func(_ *driver, b *base, _ folding, _ *nebula.Envelope) error {
			_, err := b.tryFold(strings.Repeat("x", 300))
			return err
		}},
		{"store", asIs, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error {
			_, err := f.store("id", "w")
			return err
		}},
		{"close", closed, func(_ *driver, _ *base, f folding, _ *nebula.Envelope) error { return f.Close() }},
	} {
		d, f := newInside(t)
		e, err := f.store("id", "v")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Store(t.Context(), keyring, providertest.Keyring(), nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		d.background.Wait() // it would take some of the files
		test.made(d, f.base)
		openfiles.Limit(t, 0, func() { err = test.do(d, f.base, f, e) })
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENAMETOOLONG) && !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: %v", test.what, err)
		}
		if _, err := os.Lstat(filepath.Join(f.base.Path(), "id.enc.json")); err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
	}
}

// TestRemovedDirectory: its names cannot be told, which is not that there are none.
func TestRemovedDirectory(t *testing.T) {
	_, f := newInside(t)
	if err := os.Remove(f.base.Path()); err != nil {
		t.Fatal(err)
	}
	if err := f.base.eachName(func(string) bool { return true }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its names: %v", err)
	}
}
