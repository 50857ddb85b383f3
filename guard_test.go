package nebula_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// heldGuard remembers in memory.
type heldGuard struct {
	mu    sync.Mutex
	marks map[string]nebula.Mark
}

func (g *heldGuard) Load(address string, id nebula.ID) (nebula.Mark, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, found := g.marks[address+" "+string(id)]
	return m, found, nil
}

func (g *heldGuard) Update(address string, id nebula.ID, change func(nebula.Mark, bool) nebula.Mark) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.marks == nil {
		g.marks = make(map[string]nebula.Mark)
	}
	old, found := g.marks[address+" "+string(id)]
	g.marks[address+" "+string(id)] = change(old, found)
	return nil
}

// putBack stores an older record, as who runs the backend can.
func (f *fixture) putBack(t *testing.T, id nebula.ID, r nebula.Record) {
	t.Helper()
	name, _ := id.Name()
	if _, err := f.memory.Store(t.Context(), name, r.Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) record(t *testing.T, id nebula.ID) nebula.Record {
	t.Helper()
	name, _ := id.Name()
	r, err := f.memory.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRollbackGuard(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	first := put(t, s, "x", "1", nebula.PutOptions{})
	old := f.record(t, "x")
	put(t, s, "x", "2", nebula.PutOptions{})
	newest := f.record(t, "x")

	f.putBack(t, "x", old)
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
	_, err = s.Put(t.Context(), "x", nebula.NewSecret([]byte("3")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrRolledBack)
	if got := list(t, s, nebula.ListOptions{Verify: true}); fmt.Sprint(got) != "[x: rolled_back]" {
		t.Errorf("verify lists %v", got)
	}
	get(t, f.Store, "x") // nobody remembers
	if c, err := s.GetVersion(t.Context(), "x", first); err != nil || string(c.Secret.Reveal()) != "1" {
		t.Errorf("an old version that is asked for gave %v", err)
	}
	f.putBack(t, "x", newest)
	get(t, s, "x")
	f.putBack(t, "x", old)
	put(t, s, "x", "3", nebula.PutOptions{Force: true})
	if c := get(t, s, "x"); string(c.Secret.Reveal()) != "3" {
		t.Errorf("forced: %q", c.Secret.Reveal())
	}
}

func TestRollbackGuardSeesOthersWrites(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, f.Store, "x", "1", nebula.PutOptions{})
	get(t, s, "x")
	old := f.record(t, "x")
	put(t, f.Store, "x", "2", nebula.PutOptions{})
	get(t, s, "x")
	f.putBack(t, "x", old)
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
}

// After a deletion the clock may stand before the mark: what is put then is
// later all the same.
func TestRollbackGuardAfterADeletion(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, s, "x", "1", nebula.PutOptions{})
	old := f.record(t, "x")
	wantKind(t, failure(s.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	f.clock.advance(-time.Hour)
	put(t, s, "x", "2", nebula.PutOptions{})
	get(t, s, "x")
	f.putBack(t, "x", old)
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
}

func TestRollbackGuardAllowsWhatIsAskedFor(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	put(t, s, "x", "2", nebula.PutOptions{})
	wantKind(t, failure(s.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	wantKind(t, s.Restore(t.Context(), "x"), "")
	get(t, s, "x")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	get(t, s, "x") // sealed anew, of equal age
	tracking := f.open(t, nebula.Options{TrackAccess: true})
	f.clock.advance(time.Second)
	get(t, tracking, "x") // written with an access time, of equal age
	get(t, s, "x")
}

// Of two records of one time, which one machine's clock can make, only the one
// that was seen passes.
func TestRollbackGuardOfEqualTimes(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, f.Store, "x", "1", nebula.PutOptions{})
	one := f.record(t, "x")
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	put(t, f.Store, "x", "2", nebula.PutOptions{}) // the clock stands
	get(t, s, "x")
	f.putBack(t, "x", one)
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
}

func TestRollbackGuardsMarksAreAuthentic(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	for key, m := range guard.marks {
		m.LastModified = m.LastModified.Add(-time.Hour)
		guard.marks[key] = m
	}
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrCorrupted)
}

// The mark is under a key that this process has not seen yet.
func TestRollbackGuardAfterAnotherProcessRotated(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	a, b := f.open(t, nebula.Options{RollbackGuard: guard}), f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, a, "x", "1", nebula.PutOptions{})
	if _, err := b.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, b, "y", "1", nebula.PutOptions{})
	wantKind(t, failure(b.Delete(t.Context(), "y", nebula.DeleteOptions{})), "")
	put(t, a, "y", "2", nebula.PutOptions{})
}

func TestRollbackGuardAfterTheOldKeyIsDestroyed(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	put(t, s, "gone", "1", nebula.PutOptions{})
	wantKind(t, failure(s.Delete(t.Context(), "gone", nebula.DeleteOptions{})), "")
	old, _ := s.Keys(t.Context())
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m := guard.marks["memory: x"]; m.KeyID != result.KeyID {
		t.Errorf("the mark is still under %v", m.KeyID)
	}
	wantKind(t, s.DestroyKey(t.Context(), old.ID), "")
	get(t, s, "x")
	put(t, s, "gone", "2", nebula.PutOptions{})
}

// Two machines whose clocks differ by a little note accesses.
func TestRollbackGuardWithAccessesOfTwoClocks(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}, TrackAccess: true})
	put(t, s, "x", "1", nebula.PutOptions{})
	f.clock.advance(10 * time.Second)
	get(t, s, "x")
	f.clock.advance(-2 * time.Second)
	get(t, f.open(t, nebula.Options{TrackAccess: true}), "x")
	f.clock.advance(2 * time.Second)
	get(t, s, "x")
}

func TestRollbackGuardWithAForcedWriteAndAdoption(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	backup := get(t, s, "x")
	f.clock.advance(time.Hour)
	put(t, s, "x", "2", nebula.PutOptions{})
	wantKind(t, failure(s.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	if _, err := s.Adopt(t.Context(), backup); err != nil { // asked for by name
		t.Fatal(err)
	}
	get(t, s, "x")
	for key, m := range guard.marks {
		m.LastModified = m.LastModified.Add(-time.Hour) // somebody edits the guard
		guard.marks[key] = m
	}
	_, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("3")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	put(t, s, "x", "3", nebula.PutOptions{Force: true})
	get(t, s, "x")
}
