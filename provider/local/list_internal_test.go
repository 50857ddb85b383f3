package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestUnknownTypes: some directories do not say what a file is, so a list looks at the file.
func TestUnknownTypes(t *testing.T) {
	d, f := newInside(t)
	if _, err := f.store("id", "v"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.base.Path(), "dir.enc.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	var special *atomicfile.NotRegularError
	for _, test := range []struct {
		id             nebula.ID
		mode           os.FileMode
		listed, failed bool
	}{
		{"id", 0, true, false},
		{"dir", os.ModeDir, true, true},
		{"id", os.ModeIrregular, true, false},
		{"dir", os.ModeIrregular, true, true},
		{"gone", os.ModeIrregular, false, false},
		{nebula.ID(strings.Repeat("x", 300)), os.ModeIrregular, true, false}, // reading it gives the error
	} {
		g := &pages{driver: d, base: f.base}
		g.append(test.id, test.mode)
		listed := len(g.page) == 1
		failed := listed && errors.As(g.page[0].Err, &special)
		if listed != test.listed || failed != test.failed {
			t.Errorf("%.10s, mode %v: it is listed: %v, with an error: %v", test.id, test.mode, listed, failed)
		}
	}
}

// TestPages: a list has the records of its filter, without those that go while it is read,
// and leaves nothing open.
func TestPages(t *testing.T) {
	d, f := newInside(t)
	for _, id := range []nebula.ID{"a-1", "a-2", "b-1"} {
		if _, err := f.store(id, "v"); err != nil {
			t.Fatal(err)
		}
	}
	d.background.Wait()
	if err := os.WriteFile(filepath.Join(f.base.Path(), "a-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := len(openfiles.Below(f.base.Path()))
	for _, test := range []struct {
		filter nebula.Filter
		remove nebula.ID
		want   int
	}{
		{nebula.Filter{}, "", 3},
		{nebula.Filter{Prefix: "a-"}, "", 2},
		{nebula.Filter{Prefix: "a-", CreatedAfter: time.Unix(0, 0)}, "", 2},
		{nebula.Filter{CreatedAfter: time.Unix(0, 0)}, "a-1", 2},
		{nebula.Filter{CreatedAfter: time.Now().Add(time.Hour)}, "", 0},
	} {
		g := &pages{driver: d, filter: test.filter}
		if err := g.Close(); err != nil {
			t.Errorf("before the first page: %v", err)
		}
		if err := errors.Join(g.open(), g.readBatch()); err != nil {
			t.Fatal(err)
		}
		if test.remove != "" {
			if err := f.base.Remove(string(test.remove) + d.naming.suffix); err != nil {
				t.Fatal(err)
			}
		}
		page, err := g.Next(t.Context())
		if len(page) != test.want || err != nil {
			t.Errorf("%+v: %v, %v", test.filter, page, err)
		}
		for _, entry := range page {
			if entry.Err != nil || (entry.Metadata != nil) != test.filter.NeedsMetadata() {
				t.Errorf("%+v: %+v", test.filter, entry)
			}
		}
		if page, err := g.Next(t.Context()); len(page) != 0 || err != io.EOF {
			t.Errorf("%+v: then %v, %v", test.filter, page, err)
		}
		if err := g.Close(); err != nil || len(openfiles.Below(f.base.Path())) != open {
			t.Errorf("left open: %v, %v", openfiles.Below(f.base.Path()), err)
		}
	}
}

// TestManyPages: a list that takes several reads of the directory has each name once.
func TestManyPages(t *testing.T) {
	const files = 5000
	d, f := newInside(t)
	for i := range files {
		if err := os.WriteFile(filepath.Join(f.base.Path(), fmt.Sprintf("id-%d.enc.json", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []nebula.Filter{{}, {CreatedAfter: time.Unix(0, 0)}} {
		g, listed, batches := &pages{driver: d, filter: filter}, make(map[nebula.ID]int), 0
		for {
			page, err := g.Next(t.Context())
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			batches++
			for _, entry := range page {
				listed[entry.ID]++
			}
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if batches < 2 || len(listed) != files {
			t.Errorf("%+v: %d ids in %d batches", filter, len(listed), batches)
		}
		for id, n := range listed {
			if n != 1 {
				t.Fatalf("%+v: %s is listed %d times", filter, id, n)
			}
		}
	}
}

// TestListStops: a list whose context has ended reads no record.
func TestListStops(t *testing.T) {
	d, f := newInside(t)
	if _, err := f.store("id", "v"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := &pages{driver: d, filter: nebula.Filter{CreatedAfter: time.Unix(0, 0)}}
	if page, err := g.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", page, err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestSpellingsOfTwoNames: where case matters, ids that differ by case alone are two.
func TestSpellingsOfTwoNames(t *testing.T) {
	d, f := newInside(t)
	if folds, err := f.base.foldsCase(d.naming); folds || err != nil {
		t.Skipf("case does not matter here, or that is not known: %v", err)
	}
	for _, id := range []nebula.ID{"token", "Token"} {
		if _, err := f.store(id, "v"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
