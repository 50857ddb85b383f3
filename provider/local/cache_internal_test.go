package local

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// The metadata of a file counts as long as nothing of the file has changed, and if a
// change would show. There is room for as many as the limit says.
func TestCache(t *testing.T) {
	var c cache
	holds := func(id nebula.ID, stat atomicfile.Stat, want bool) {
		t.Helper()
		if entry, ok := c.get(id, stat); ok != want || ok && entry.stat != stat {
			t.Errorf("%s is remembered: %v", id, ok)
		}
	}
	old, changed, young := atomicfile.Stat{Size: 1}, atomicfile.Stat{Size: 2}, atomicfile.Stat{Mtime: time.Now().UnixNano()}
	holds("id", old, false)
	holds("id", atomicfile.Stat{}, false)
	c.put("id", cached{stat: young})
	holds("id", young, false)
	c.put("id", cached{stat: old})
	holds("id", old, true)
	holds("id", changed, false)
	holds("other", old, false)
	for i := range maxCached {
		c.put(nebula.ID(fmt.Sprint(i)), cached{stat: old})
		if want := min(i+2, maxCached); len(c.entries) != want {
			t.Fatalf("%d are remembered, want %d", len(c.entries), want)
		}
	}
	holds(nebula.ID(fmt.Sprint(maxCached-1)), old, true)
}

// TestDescribe: what is in a file is said, or why it cannot be; and it is read again only
// if it has changed.
func TestDescribe(t *testing.T) {
	t.Parallel()
	d, f := newInside(t)
	e, err := f.store("id", "v")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"broken", "no id"} {
		if err := os.WriteFile(filepath.Join(f.base.Path(), file+d.naming.suffix), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[nebula.ID]nebula.Kind{"broken": nebula.ErrCorrupted, "no id": nebula.ErrInvalidID} {
		if described, err := d.describe(f.base, id); nebula.KindOf(err) != want || described.metadata != nil {
			t.Errorf("%s: %v, %v", id, described.metadata, err)
		}
	}
	if _, err := d.describe(f.base, "absent"); !isMissing(err) {
		t.Errorf("absent: %v", err)
	}
	describe := func() *nebula.Metadata {
		t.Helper()
		described, err := d.describe(f.base, "id")
		if err != nil || sumVersion(described.sum) != versionOf(e.Bytes()) || described.metadata.CreatedAt.IsZero() {
			t.Fatalf("%+v, %v", described, err)
		}
		return described.metadata
	}
	if first := describe(); describe() == first {
		t.Error("it is remembered although it changed just now")
	}
	time.Sleep(2100 * time.Millisecond)
	if first := describe(); describe() != first {
		t.Error("it is not remembered")
	}
	if e, err = f.store("id", "w"); err != nil {
		t.Fatal(err)
	}
	describe()
}
