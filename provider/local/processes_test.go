package local_test

import (
	"bufio"
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
)

// TestTurnsOfProcesses: two processes replace one record on condition that it is
// still the one they read. Then the acknowledged stores are one chain: none was lost,
// and each was made on the state that it names.
func TestTurnsOfProcesses(t *testing.T) {
	count := "1000"
	if testing.Short() {
		count = "50"
	}
	s := newStore(t)
	s.put("id", "first")
	first, err := s.Retrieve(t.Context(), named("id"))
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := s.Retrieve(t.Context(), named("id")); err != nil {
					t.Errorf("a reader: %v", err)
					return
				}
			}
		}
	})
	next := make(map[string]string)
	for _, out := range both(t, s.dir, count) {
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			from, to, _ := strings.Cut(lines.Text(), " ")
			if _, taken := next[from]; taken {
				t.Fatalf("two stores replaced version %s", from)
			}
			next[from] = to
		}
	}
	close(done)
	reading.Wait()

	steps, at := 0, string(first.Version)
	for next[at] != "" {
		at = next[at]
		steps++
	}
	if steps != len(next) {
		t.Errorf("%d stores were acknowledged, the chain has %d", len(next), steps)
	}
	last, err := s.Retrieve(t.Context(), named("id"))
	if err != nil || string(last.Version) != at {
		t.Errorf("the last version is %s, %v; acknowledged was %s", last.Version, err, at)
	}
}

// both runs two processes that take turns, and returns their output.
func both(t *testing.T, dir, count string) [][]byte {
	t.Helper()
	told := make([][]byte, 2)
	var running sync.WaitGroup
	for i := range told {
		running.Go(func() {
			var err error
			if told[i], err = other(t.Context(), "turns", dir, "NEBULA_TEST_COUNT="+count).Output(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	running.Wait()
	return told
}

// TestOneOfManyCreates: if many store only if absent, one succeeds.
func TestOneOfManyCreates(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		p := s
		if i%2 == 1 {
			p = openStore(t, s.dir) // its own lock file, as in another process
		}
		all.Go(func() {
			_, errs[i] = p.Store(t.Context(), named("id"), sealed("id", "v", nil),
				nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		})
	}
	all.Wait()
	succeeded := 0
	for _, err := range errs {
		switch nebula.KindOf(err) {
		case "":
			succeeded++
		case nebula.ErrAlreadyExists:
		default:
			t.Error(err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d of %d created it", succeeded, len(errs))
	}
}
