//go:build unix

package local

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestAnotherDirectory: a deletion and a list use the directory to which the path
// leads now, even if it led to another one a moment ago.
func TestAnotherDirectory(t *testing.T) {
	for what, use := range map[string]func(folding) (found bool, err error){
		"delete": func(f folding) (bool, error) { return f.Delete(t.Context(), f.name("id"), nebula.Precondition{}) },
		"exists": func(f folding) (bool, error) { return f.Exists(t.Context(), f.name("id")) },
		"retrieve": func(f folding) (bool, error) {
			record, err := f.Retrieve(t.Context(), f.name("id"))
			return record.Envelope != nil, err
		},
		"list": func(f folding) (bool, error) {
			pager := f.List(t.Context(), nebula.Filter{})
			defer pager.Close()
			page, err := pager.NextPage(t.Context())
			if errors.Is(err, io.EOF) {
				return false, nil
			}
			return len(page) == 1, err
		},
	} {
		d, f := newInside(t)
		path := f.base.Path()
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store("id", "v"); err != nil {
			t.Fatal(err)
		}
		// Go back to the old directory, which counts as checked.
		d.bases.current.Store(f.base)
		d.bases.checked.Store(int64(time.Hour))
		if found, err := use(f); !found || err != nil {
			t.Errorf("%s: %v, %v", what, found, err)
		}
	}
}

// TestOpenedDirectory: what is opened may be another directory than what was looked at. It is
// refused if it is not safe to use, and not left open.
func TestOpenedDirectory(t *testing.T) {
	path := t.TempDir()
	for mode, want := range map[os.FileMode]nebula.Kind{0o700: "", 0o755: "", 0o777: nebula.ErrInvalidConfig} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		b, err := openBase(path)
		if nebula.KindOf(err) != want {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err == nil {
			if b.remote != (b.NetworkFileSystem() != "") {
				t.Errorf("on a network file system: %v", b.remote)
			}
			_ = b.Close()
		}
		if left := openfiles.Below(path); len(left) != 0 {
			t.Errorf("mode %04o: left open: %v", mode, left)
		}
	}
	if _, err := openBase(path + ".absent"); !isMissing(err) {
		t.Errorf("of one that is not there: %v", err)
	}
}

// TestTemporaryFileTakenAway: if somebody removes a temporary file before its turn,
// it is written again.
func TestTemporaryFileTakenAway(t *testing.T) {
	_, f := newInside(t)
	other := atomicfile.NewLock(lockName)
	defer other.Close()
	if err := other.Lock(t.Context(), nil, f.base.Dir); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := f.store("id", "v")
		ended <- err
	}()
	taken := 0
	for end := time.Now().Add(10 * time.Second); taken == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		err := f.base.eachName(func(name string) bool {
			if atomicfile.IsTemp(name) && f.base.Remove(name) == nil {
				taken++
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	other.Unlock()
	if err := <-ended; err != nil || taken == 0 {
		t.Errorf("%d files were removed: %v", taken, err)
	}
	if found, err := f.Exists(t.Context(), f.name("id")); !found || err != nil {
		t.Errorf("it is there: %v, %v", found, err)
	}
}
