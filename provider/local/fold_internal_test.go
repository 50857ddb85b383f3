package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/openfiles"
	"github.com/nebula-credential/nebula/provider"
)

// folding is a provider whose directory counts as one that folds case.
type folding struct {
	*testing.T
	full
	base   *base
	naming naming
}

// full is a provider that can be connected and closed.
type full interface {
	nebula.Provider
	nebula.Connector
}

// deleted drops the report of a deletion and keeps its error.
func deleted(_ bool, err error) error { return err }

func newFolding(t *testing.T) folding {
	t.Helper()
	_, f := newInside(t)
	f.base.folds.Store(foldYes)
	return f
}

// newInside returns a connected provider and its driver.
func newInside(t *testing.T) (*driver, folding) {
	t.Helper()
	c := DefaultConfig()
	c.BasePath = filepath.Join(t.TempDir(), "credentials")
	d, err := newDriver(c)
	if err != nil {
		t.Fatal(err)
	}
	p := provider.New(d, provider.Policy{}, provider.NewOptions()).(full)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := d.bases.forWriting(true)
	if err != nil {
		t.Fatal(err)
	}
	return d, folding{t, p, b, d.naming}
}

// twin makes a stored id in other case lead to its file, by a hard link that the
// directory does not show. A file system that folds case needs none.
func (f folding) twin(stored, other nebula.ID) {
	f.Helper()
	file := func(id nebula.ID) string { return filepath.Join(f.base.Path(), string(id)+f.naming.suffix) }
	err := os.Link(file(stored), file(other))
	if err != nil && !errors.Is(err, os.ErrExist) {
		f.Fatal(err)
	}
	f.base.hidden = map[string]bool{string(other) + f.naming.suffix: true}
	if _, err := f.base.Lstat(string(other) + f.naming.suffix); err != nil {
		f.Fatalf("the file is not found by its other name: %v", err)
	}
}

func (f folding) store(id nebula.ID, value string) (*nebula.Envelope, error) {
	f.Helper()
	m := nebula.Metadata{CreatedAt: now(), LastModified: now()}
	e, err := nebula.SealRecord([32]byte{}, f.name(id), nebula.NewSecret([]byte(value)), m)
	if err != nil {
		f.Fatal(err)
	}
	_, err = f.Store(f.Context(), f.name(id), e, nebula.StoreOptions{})
	return e, err
}

func (f folding) name(id nebula.ID) nebula.Name {
	f.Helper()
	name, err := id.Name()
	if err != nil {
		f.Fatal(err)
	}
	return name
}

// TestTwin: every operation finds a record only under the exact id with which it was
// stored.
func TestTwin(t *testing.T) {
	f := newFolding(t)
	stored, err := f.store("Token", "first")
	if err != nil {
		t.Fatal(err)
	}
	f.twin("Token", "tokeN")
	if record, err := f.Retrieve(t.Context(), f.name("tokeN")); !errors.Is(err, nebula.ErrNotFound) || record.Envelope != nil {
		t.Errorf("retrieve: %v, %v", record, err)
	}
	if found, err := f.Exists(t.Context(), f.name("tokeN")); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	if existed, err := f.Delete(t.Context(), f.name("tokeN"), nebula.Precondition{}); existed || err != nil {
		t.Errorf("delete: %v, %v", existed, err)
	}
	if _, err := f.store("tokeN", "second"); !errors.Is(err, nebula.ErrConflict) {
		t.Errorf("store: %v", err)
	}
	record, err := f.Retrieve(t.Context(), f.name("Token"))
	if err != nil || string(record.Envelope.Bytes()) != string(stored.Bytes()) {
		t.Errorf("the first one: %v, %v", record, err)
	}
	if found, err := f.Exists(t.Context(), f.name("Token")); !found || err != nil {
		t.Errorf("the first one exists: %v, %v", found, err)
	}
	if err := deleted(f.Delete(t.Context(), f.name("Token"), nebula.Precondition{})); err != nil {
		t.Errorf("delete of the first one: %v", err)
	}
}

// TestFoldsCase: if two spellings are found and the directory has only one of them,
// they are one file, whatever inodes they have.
func TestFoldsCase(t *testing.T) {
	for _, test := range []struct {
		name   string
		found  []string
		hidden []string
		want   int32
	}{
		{"one spelling", []string{".lock"}, nil, foldNo},
		{"two files", []string{".lock", ".LOCK"}, nil, foldNo},
		{"one file", []string{".lock", ".LOCK"}, []string{".LOCK"}, foldYes},
		{"one file of the other spelling", []string{".lock", ".LOCK"}, []string{".lock"}, foldYes},
		{"one that has just gone", []string{".lock", ".LOCK"}, []string{".lock", ".LOCK"}, foldUnknown},
		{"a record beside it", []string{".lock", ".LOCK", "id.enc.json"}, []string{".lock", ".LOCK"}, foldNo},
		{"nothing", nil, nil, foldUnknown},
		{"a keyring", []string{".keyring.enc.json"}, nil, foldNo},
		{"a record", []string{"id.enc.json"}, nil, foldNo},
		{"a record among others", append(temps(50), "id.enc.json", "1", "2"), nil, foldNo},
		{"temporary files, which may go", temps(2), nil, foldUnknown},
		{"no letters", []string{"1", "2"}, nil, foldUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFolding(t)
			f.base.folds.Store(foldUnknown)
			f.base.hidden = make(map[string]bool)
			for _, name := range test.hidden {
				f.base.hidden[name] = true
			}
			for _, name := range test.found {
				file, err := os.OpenFile(filepath.Join(f.base.Path(), name), os.O_CREATE|os.O_EXCL, 0o600)
				if errors.Is(err, os.ErrExist) {
					t.Skip("this file system folds case itself")
				}
				if err != nil {
					t.Fatal(err)
				}
				file.Close()
			}
			for range 2 { // the second time it is known, if it can be
				folds, err := f.base.foldsCase(f.naming)
				if got := f.base.folds.Load(); got != test.want || folds != (test.want == foldYes) || err != nil {
					t.Errorf("%v, %d, %v; want %d", folds, got, err, test.want)
				}
			}
		})
	}
}

// temps returns names of temporary files.
func temps(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(".tmp-%032x", i)
	}
	return names
}

// TestEachName: of a large directory each name is seen, once, until it is enough.
func TestEachName(t *testing.T) {
	f := newFolding(t)
	const many = 400 // more than are read at once
	for i := range many {
		name := fmt.Sprintf("%s%04d", strings.Repeat("n", 240), i)
		if err := os.WriteFile(filepath.Join(f.base.Path(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.base.hidden = map[string]bool{strings.Repeat("n", 240) + "0000": true}
	for _, enough := range []int{1, 10, many - 1, many} {
		seen := make(map[string]int)
		calls := 0
		err := f.base.eachName(func(name string) bool {
			seen[name]++
			calls++
			return calls < enough
		})
		if want := min(enough, many-1); len(seen) != want || calls != want || err != nil {
			t.Errorf("%d names in %d calls, %v; want %d", len(seen), calls, err, want)
		}
		if left := openfiles.Below(f.base.Path()); len(left) > 1 { // the directory itself
			t.Errorf("left open: %v", left)
		}
	}
}

func TestStoreRefusesTwin(t *testing.T) {
	f := newFolding(t)
	for _, test := range []struct {
		id   nebula.ID
		want nebula.Kind
	}{{"Token", ""}, {"other", ""}, {"tokeN", nebula.ErrConflict}, {"Token", ""}} {
		if _, err := f.store(test.id, "v"); nebula.KindOf(err) != test.want {
			t.Errorf("%s: %v, want kind %q", test.id, err, test.want)
		}
	}
}

// TestNoName: a Name that no id gave is refused, and no file is made of it.
func TestNoName(t *testing.T) {
	f := newFolding(t)
	e, err := f.store("id", "v")
	if err != nil {
		t.Fatal(err)
	}
	var none nebula.Name
	if _, err := f.Store(t.Context(), none, e, nebula.StoreOptions{}); !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("store: %v", err)
	}
	file := filepath.Join(f.base.Path(), f.naming.file(none))
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was stored: %v", err)
	}
	if err := os.WriteFile(file, e.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if record, err := f.Retrieve(t.Context(), none); !errors.Is(err, nebula.ErrUsage) || record.Envelope != nil {
		t.Errorf("retrieve: %v, %v", record, err)
	}
	if found, err := f.Exists(t.Context(), none); !errors.Is(err, nebula.ErrUsage) || found {
		t.Errorf("exists: %v, %v", found, err)
	}
	if err := deleted(f.Delete(t.Context(), none, nebula.Precondition{})); !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("delete: %v", err)
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("it was deleted: %v", err)
	}
}
