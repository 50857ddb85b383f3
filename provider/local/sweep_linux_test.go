package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestSweepOfMany: a sweep removes all that killed writers left, however many names
// there are. If the provider is closed, it ends early, but not in a small directory.
func TestSweepOfMany(t *testing.T) {
	sweeps(t, []sweepCase{{1500, true, true}, {4000, true, false}, {4000, false, true}})
}

func TestSweepOfFew(t *testing.T) {
	sweeps(t, []sweepCase{{0, false, true}, {0, true, true}, {400, true, true}})
}

type sweepCase struct {
	names  int // of 250 bytes
	closed bool
	all    bool // that killed writers left is removed
}

func sweeps(t *testing.T, cases []sweepCase) {
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			_, f := newInside(t)
			file := func(name string) string {
				path := filepath.Join(f.base.Path(), name)
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			first, temps := file("first"), 0
			for i := range c.names + 1 {
				if i%10 == 0 { // in between, wherever the file system puts them
					file(fmt.Sprintf(".tmp-%032x", i))
					temps++
				}
				if err := os.Link(first, filepath.Join(f.base.Path(), strings.Repeat("n", 245)+fmt.Sprintf("%05d", i))); err != nil {
					t.Fatal(err)
				}
			}
			d := &driver{closing: closing(c.closed)}
			d.sweep(f.base)
			if open := openfiles.Below(f.base.Path()); len(open) > 1 { // the directory itself
				t.Errorf("left open: %v", open)
			}
			left, err := filepath.Glob(filepath.Join(f.base.Path(), ".tmp-*"))
			if err != nil {
				t.Fatal(err)
			}
			if len(left) == 0 != c.all || len(left) == temps {
				t.Errorf("%d of %d are left", len(left), temps)
			}
		})
	}
}

// closing returns the channel that says whether a provider is closed.
func closing(closed bool) chan struct{} {
	c := make(chan struct{})
	if closed {
		close(c)
	}
	return c
}
