package nebula_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

func TestGuardFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "guard")
	marks := map[nebula.ID]nebula.Mark{
		"plain":    {LastModified: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC), Record: [32]byte{1}, KeyID: nebula.KeyID{2}, MAC: [32]byte{3}},
		"deleted":  {LastModified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DeletedAt: time.Now().UTC()},
		"accessed": {LastModified: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), LastAccessed: time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC)},
	}
	for id, want := range marks {
		err := nebula.NewGuardFile(path).Update("local:/a b", id, func(_ nebula.Mark, found bool) (nebula.Mark, bool) {
			if found {
				t.Error("there is a mark that nobody made")
			}
			return want, true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range marks {
		got, found, err := nebula.NewGuardFile(path).Load("local:/a b", id)
		if err != nil || !found || got != want {
			t.Errorf("%s: %+v, %t, %v, want %+v", id, got, found, err, want)
		}
	}
	if _, found, err := nebula.NewGuardFile(path).Load("local:/other", "plain"); found || err != nil {
		t.Errorf("another store's mark: %t, %v", found, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := nebula.NewGuardFile(path).Load("local:/a b", "plain"); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a damaged file gave %v", err)
	}
}

// A full guard refuses a new credential, and keeps its marks. It drops a mark only 400
// days after the deletion of the credential was acknowledged.
func TestGuardFileThatIsFull(t *testing.T) {
	g := nebula.NewGuardFile(filepath.Join(t.TempDir(), "guard"))
	clock := newClock()
	nebula.LimitGuard(g, 3, clock.now)
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: g})
	for _, id := range []nebula.ID{"x", "y", "z"} {
		put(t, s, id, "1", nebula.PutOptions{})
	}
	_, err := s.Put(t.Context(), "more", value("1"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUsage)
	put(t, s, "x", "2", nebula.PutOptions{})

	wantKind(t, failure(s.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	name, _ := nebula.ID("y").Name()
	if _, err := f.memory.Delete(t.Context(), name, nebula.Precondition{}); err != nil { // without the store
		t.Fatal(err)
	}
	clock.advance(399 * 24 * time.Hour)
	_, err = s.Put(t.Context(), "more", value("1"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUsage)
	clock.advance(2 * 24 * time.Hour)
	put(t, s, "more", "1", nebula.PutOptions{})
	for id, want := range map[nebula.ID]bool{"x": false, "y": true, "z": true, "more": true} {
		if _, found, err := g.Load("memory:", id); found != want || err != nil {
			t.Errorf("the mark of %s: %t, %v", id, found, err)
		}
	}
}

// FuzzGuardFile: the guard refuses any file, or works with it.
func FuzzGuardFile(f *testing.F) {
	mark := nebula.Mark{LastModified: time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC), KeyID: nebula.KeyID{1}}
	path := filepath.Join(f.TempDir(), "guard")
	if err := nebula.NewGuardFile(path).Update("a", "x", func(nebula.Mark, bool) (nebula.Mark, bool) { return mark, true }); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "", "x", "{}\n", "{}\n{}", string(whole) + string(whole), strings.ToUpper(string(whole))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "guard")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		g := nebula.NewGuardFile(path)
		if _, _, err := g.Load("a", "x"); err != nil {
			if !errors.Is(err, nebula.ErrInvalidConfig) {
				t.Fatal(err)
			}
			return
		}
		if err := g.Update("a", "x", func(nebula.Mark, bool) (nebula.Mark, bool) { return mark, true }); err != nil {
			t.Fatal(err)
		}
		if got, found, err := g.Load("a", "x"); got != mark || !found || err != nil {
			t.Fatalf("%+v, %t, %v", got, found, err)
		}
	})
}
