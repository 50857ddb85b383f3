package guardfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/guardfile"
)

func TestMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "guard")
	marks := map[nebula.ID]nebula.Mark{
		"plain":    {LastModified: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC), Record: [32]byte{1}, KeyID: nebula.KeyID{2}, MAC: [32]byte{3}},
		"accessed": {LastModified: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), LastAccessed: time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC)},
	}
	for id, want := range marks {
		err := guardfile.New(path).Update("local:/a b", id, func(_ nebula.Mark, found bool) nebula.Mark {
			if found {
				t.Error("a mark that was not made is there")
			}
			return want
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range marks {
		got, found, err := guardfile.New(path).Load("local:/a b", id)
		if err != nil || !found || got != want {
			t.Errorf("%s: %+v, %t, %v, want %+v", id, got, found, err, want)
		}
	}
	if _, found, err := guardfile.New(path).Load("local:/other", "plain"); found || err != nil {
		t.Errorf("another store's mark: %t, %v", found, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := guardfile.New(path).Load("local:/a b", "plain"); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a damaged file gave %v", err)
	}
}
