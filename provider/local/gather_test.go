package local_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// crowd is more writers than may store one by one.
const crowd = 64

// TestGathered: all that a crowd stores at the same time is stored, each record with
// its own outcome.
func TestGathered(t *testing.T) {
	s := newStore(t)
	taken := s.put("taken", "v")
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			for j := range 8 {
				id := fmt.Sprintf("id-%d-%d", i, j)
				e := sealed(id, "v", nil)
				version, err := s.Store(t.Context(), named(id), e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
				if err != nil || string(version) != versionOf(e) {
					t.Errorf("%s: version %q, %v", id, version, err)
				}
				_, err = s.Store(t.Context(), named("taken"), sealed("taken", "w", nil), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
				if nebula.KindOf(err) != nebula.ErrAlreadyExists {
					t.Errorf("a condition that does not hold: %v", err)
				}
			}
		})
	}
	all.Wait()
	s.holds("taken", taken)
	if n := len(s.list(nebula.Filter{})); n != 8*crowd+1 {
		t.Errorf("%d are stored", n)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestGatheredGiveUp: a crowd waits for the lock of another process. Each writer
// gives up when its own context ends, and nothing is put in place later.
func TestGatheredGiveUp(t *testing.T) {
	s := newStore(t)
	s.put("first", "v")
	unlock := holdLock(t, s.dir)
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			limit := time.Duration(20+i) * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			id := fmt.Sprint("late-", i)
			_, err := s.Store(ctx, named(id), sealed(id, "v", nil), nebula.StoreOptions{})
			fails(t, err, nebula.ErrTimeout, "store")
		})
	}
	all.Wait() // while the lock is held
	unlock()
	s.put("last", "v")
	time.Sleep(20 * time.Millisecond)
	if n := len(s.list(nebula.Filter{})); n != 2 {
		t.Errorf("%d are stored: some came after their writers had gone", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestGatheredClose: if a crowd waits for the lock of another process, Close ends the
// wait.
func TestGatheredClose(t *testing.T) {
	s := newStore(t)
	s.put("first", "v")
	unlock := holdLock(t, s.dir)
	defer unlock()
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			id := fmt.Sprint("late-", i)
			_, err := s.Store(t.Context(), named(id), sealed(id, "v", nil), nebula.StoreOptions{})
			fails(t, err, nebula.ErrClosed, "store")
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
