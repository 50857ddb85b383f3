package nebula_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// heldGuard is a guard in memory.
type heldGuard struct {
	mu     sync.Mutex
	marks  map[string]nebula.Mark
	full   bool
	before func() // each update
	loaded func() // before each look

	loadErr, updateErr error
}

func (g *heldGuard) Load(address string, id nebula.ID) (nebula.Mark, bool, error) {
	if g.loaded != nil {
		g.loaded()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m, found := g.marks[address+" "+string(id)]
	return m, found, g.loadErr
}

func (g *heldGuard) Update(address string, id nebula.ID, change func(nebula.Mark, bool) (nebula.Mark, bool)) error {
	if g.before != nil {
		g.before()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.updateErr != nil {
		return g.updateErr
	}
	if g.marks == nil {
		g.marks = make(map[string]nebula.Mark)
	}
	old, found := g.marks[address+" "+string(id)]
	m, keep := change(old, found)
	if keep {
		g.marks[address+" "+string(id)] = m
	}
	return nil
}

func (g *heldGuard) CheckRoom(address string, id nebula.ID) error {
	if _, found, _ := g.Load(address, id); found || !g.full {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the guard is full"}
}

// putBack stores an older record, as anyone who runs the backend can.
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
	get(t, f.Store, "x") // this store has no guard
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

// The clock may go back before a deletion's mark. A later put still gets a later time
// than the mark.
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
	get(t, s, "x") // sealed anew, with the same time
	tracking := f.open(t, nebula.Options{TrackAccess: true})
	f.clock.advance(time.Second)
	get(t, tracking, "x") // written with an access time, and the same last_modified
	get(t, s, "x")
}

// If two records have the same time, as the clock of one machine can give, only the
// one that was seen passes.
func TestRollbackGuardOfEqualTimes(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, f.Store, "x", "1", nebula.PutOptions{})
	one := f.record(t, "x")
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	put(t, f.Store, "x", "2", nebula.PutOptions{}) // at the same time
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

// The mark is under a key that this process has not seen.
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
	wantKind(t, s.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), "")
	get(t, s, "x")
	put(t, s, "gone", "2", nebula.PutOptions{})
}

// Two machines whose clocks differ a little note accesses.
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
	if _, err := s.Adopt(t.Context(), backup, nebula.AdoptOptions{Precondition: nebula.IfAbsent(), Older: true}); err != nil { // Older asks for it
		t.Fatal(err)
	}
	if c := get(t, s, "x"); !c.Metadata.LastModified.Equal(backup.Metadata.LastModified) {
		t.Errorf("it was adopted with another time: %v", c.Metadata.LastModified)
	}
	for key, m := range guard.marks {
		m.LastModified = m.LastModified.Add(-time.Hour) // somebody edits the guard
		guard.marks[key] = m
	}
	_, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("3")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	put(t, s, "x", "3", nebula.PutOptions{Force: true})
	get(t, s, "x")
}

// Another process's put and delete overtake a put that found nothing. The put is
// acknowledged, so the guard accepts its record, and still refuses the other's record
// if that is put back. The put is stored once more, with a later time; a rotation may
// come before that.
func TestRollbackGuardAllowsAPutThatWasOvertaken(t *testing.T) {
	for _, behind := range []time.Duration{0, 5 * time.Second} {
		for _, between := range []string{"nothing", "a rotation", "the begin of a rotation"} {
			f := newFixture(t)
			guard := &heldGuard{}
			other := f.open(t, nebula.Options{RollbackGuard: guard})
			s := f.open(t, nebula.Options{RollbackGuard: guard})
			var theirs nebula.Record
			stores := 0
			f.calls.step(func(c provider.Call) {
				if c.Op != "store" {
					return
				}
				switch stores++; stores {
				case 1: // ours; theirs is the second
					f.clock.advance(behind + time.Second)
					put(t, other, "x", "theirs", nebula.PutOptions{})
					theirs = f.record(t, "x")
					wantKind(t, failure(other.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
					f.clock.advance(-behind)
				case 3: // ours again, with a later time: by now the record is sealed anew, or the key replaced
					var err error
					switch between {
					case "a rotation":
						_, err = f.Rotate(t.Context(), nebula.RotateOptions{})
					case "the begin of a rotation":
						err = nebula.SwitchKey(t.Context(), f.Store, f.key, true)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
			v := put(t, s, "x", "ours", nebula.PutOptions{})
			written := f.record(t, "x").Envelope.Metadata().LastModified
			if m := guard.marks["memory: x"]; !m.LastModified.Equal(written) || !m.DeletedAt.IsZero() {
				t.Errorf("after %s, the mark is %+v, and the record's time %v", between, m, written)
			}
			c := get(t, s, "x")
			if string(c.Secret.Reveal()) != "ours" || c.Version != v {
				t.Errorf("%q of version %s, put returned version %s", c.Secret.Reveal(), c.Version, v)
			}
			get(t, other, "x")
			if between == "nothing" {
				f.putBack(t, "x", theirs)
				_, err := s.Get(t.Context(), "x")
				wantKind(t, err, nebula.ErrRolledBack)
			}
		}
	}
}

// As before, and the other process puts a third time before the overtaken value is
// stored once more, or the backend checks no conditions.
func TestRollbackGuardOfAPutThatWasOvertakenTwice(t *testing.T) {
	for _, conditions := range []bool{true, false} {
		r, guard := newRemote(), &heldGuard{}
		r.description.NoPreconditions = !conditions
		_, key := r.initialised(t)
		options := nebula.Options{Keys: []nebula.Key{key}, RollbackGuard: guard}
		s, other := r.open(t, options), r.open(t, options)
		stores := 0
		r.store = func(_ nebula.Name, o nebula.StoreOptions) error {
			if !conditions && !o.Precondition.IsZero() {
				return &nebula.Error{Kind: nebula.ErrNotSupported}
			}
			switch stores++; {
			case stores == 1:
				r.clock.advance(time.Second)
				put(t, other, "x", "theirs", nebula.PutOptions{})
				wantKind(t, failure(other.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
			case stores == 3 && conditions:
				put(t, other, "x", "theirs again", nebula.PutOptions{Force: true}) // Force, because ours is older than the mark
			}
			return nil
		}
		put(t, s, "x", "ours", nebula.PutOptions{})
		want := "ours"
		if conditions {
			want = "theirs again"
		}
		for _, reader := range []*nebula.Store{s, other} {
			if c := get(t, reader, "x"); string(c.Secret.Reveal()) != want {
				t.Errorf("with conditions %t, there is %q", conditions, c.Secret.Reveal())
			}
		}
	}
}

// Between a write and its mark, another process moves the mark. The guard then looks
// at the stored record. If it is not the one that was written, the write is
// acknowledged, and the mark stays the other's.
func TestRollbackGuardLooksAtWhatIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		found func(r *remote, other *nebula.Store) // after the other's put
		want  nebula.Kind
		there string
	}{
		"another value of a later time": {func(*remote, *nebula.Store) {}, "", "theirs"},
		"nothing": {func(r *remote, other *nebula.Store) {
			wantKind(t, failure(other.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
		}, "", ""},
		"what cannot be read": {func(r *remote, _ *nebula.Store) { r.failing = nebula.ErrCorrupted }, "", "theirs"},
		"a backend that is away": {func(r *remote, _ *nebula.Store) { r.failing = nebula.ErrUnavailable },
			nebula.ErrUnavailable, "theirs"},
		"another value of the same time": {func(r *remote, other *nebula.Store) {
			same := get(t, other, "x")
			same.Metadata.LastModified = r.clock.now()
			same.Secret = value("the same time")
			if _, err := other.Adopt(t.Context(), same, nebula.AdoptOptions{Older: true}); err != nil {
				t.Error(err)
			}
		}, "", "the same time"},
	} {
		r, guard := newRemote(), &heldGuard{}
		_, key := r.initialised(t)
		options := nebula.Options{Keys: []nebula.Key{key}, RollbackGuard: guard}
		s, other := r.open(t, options), r.open(t, options)
		guard.before = func() {
			guard.before = nil
			put(t, other, "x", "theirs", nebula.PutOptions{})
			c.found(r, other)
		}
		version, err := s.Put(t.Context(), "x", value("ours"), nebula.PutOptions{})
		wantKind(t, err, c.want)
		if err == nil && version != "1" {
			t.Errorf("%s: it was stored as %s, which is the other's", name, version)
		}
		if c.want != "" && !strings.Contains(err.Error(), "the credential is stored") {
			t.Errorf("%s: %v", name, err)
		}
		r.failing = ""
		there, err := other.Get(t.Context(), "x")
		if string(there.Secret.Reveal()) != c.there || (err == nil) != (c.there != "") {
			t.Errorf("%s: there is %q, %v", name, there.Secret.Reveal(), err)
		}
	}
}

// A put that was overtaken cannot be stored once more. The error says that the
// credential is stored.
func TestRollbackGuardOfAPutThatStaysUnmarked(t *testing.T) {
	for name, oldKeyring := range map[string]bool{"the backend is away": false, "the keyring is old, and cannot be read": true} {
		r, guard := newRemote(), &heldGuard{}
		_, key := r.initialised(t)
		options := nebula.Options{Keys: []nebula.Key{key}, RollbackGuard: guard}
		s, other := r.open(t, options), r.open(t, options)
		put(t, s, "y", "v", nebula.PutOptions{})
		stores := 0
		r.store = func(nebula.Name, nebula.StoreOptions) error {
			switch stores++; {
			case stores == 1:
				r.clock.advance(time.Second)
				put(t, other, "x", "theirs", nebula.PutOptions{})
				wantKind(t, failure(other.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
				if oldKeyring { // as after a machine has slept
					r.clock.advance(2 * time.Minute)
					r.keyringAway()
				}
			case stores == 3:
				return away()
			}
			return nil
		}
		_, err := s.Put(t.Context(), "x", value("ours"), nebula.PutOptions{})
		wantKind(t, err, nebula.ErrUnavailable)
		if err == nil || !strings.Contains(err.Error(), "the credential is stored") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The caller's context ends while another process moves the mark.
func TestRollbackGuardWhenTheCallerGoes(t *testing.T) {
	r, guard := newRemote(), &heldGuard{}
	_, key := r.initialised(t)
	options := nebula.Options{Keys: []nebula.Key{key}, RollbackGuard: guard}
	s, other := r.open(t, options), r.open(t, options)
	ctx, cancel := context.WithCancel(t.Context())
	guard.before = func() {
		guard.before = nil
		put(t, other, "x", "theirs", nebula.PutOptions{})
		cancel()
	}
	_, err := s.Put(ctx, "x", value("ours"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrInterrupted)
	if err == nil || !strings.Contains(err.Error(), "the credential is stored") {
		t.Errorf("%v", err)
	}
}

// The mark that a write finds is under a key that its keyring does not have, and the
// newest keyring cannot be read.
func TestRollbackGuardOfAKeyThatCannotBeRead(t *testing.T) {
	r, guard := newRemote(), &heldGuard{}
	_, key := r.initialised(t)
	options := nebula.Options{Keys: []nebula.Key{key}, RollbackGuard: guard}
	s, other := r.open(t, options), r.open(t, options)
	put(t, s, "y", "v", nebula.PutOptions{})
	looks := 0
	guard.loaded = func() {
		if looks++; looks < 2 { // the first look is for the time of the write
			return
		}
		guard.loaded = nil
		if err := nebula.SwitchKey(t.Context(), other, key, true); err != nil {
			t.Error(err)
		}
		put(t, other, "x", "theirs", nebula.PutOptions{})
		wantKind(t, failure(other.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
		r.keyringAway()
	}
	_, err := s.Put(t.Context(), "x", value("ours"), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrUnavailable)
	if err == nil || !strings.Contains(err.Error(), "the credential is stored") {
		t.Errorf("%v", err)
	}
}

// After a write or a read, and before its mark, somebody deletes the credential and puts
// it again, with an earlier time. The late mark does not replace the new one.
func TestRollbackGuardMarksOnlyWhatIsThere(t *testing.T) {
	for _, use := range []string{"put", "get", "get again"} {
		f := newFixture(t)
		guard := &heldGuard{}
		other, s := f.open(t, nebula.Options{RollbackGuard: guard}), f.open(t, nebula.Options{RollbackGuard: guard})
		if use == "get again" {
			put(t, other, "x", "before", nebula.PutOptions{})
		}
		f.clock.advance(time.Hour)
		if use != "put" {
			put(t, f.Store, "x", "theirs", nebula.PutOptions{})
		}
		guard.before = func() {
			guard.before = nil
			wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
			f.clock.advance(-time.Second)
			put(t, s, "x", "ours", nebula.PutOptions{})
		}
		if use == "put" {
			put(t, other, "x", "theirs", nebula.PutOptions{})
		} else {
			get(t, other, "x")
		}
		for _, reader := range []*nebula.Store{s, other} {
			if c := get(t, reader, "x"); string(c.Secret.Reveal()) != "ours" {
				t.Errorf("%s: %q", use, c.Secret.Reveal())
			}
		}
	}
}

// The mark is older than a rotation that has ended, and the record newer. A second
// rotation runs, and has not reached the record.
func TestRollbackGuardWhileASecondRotationRuns(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, s, "x", "1", nebula.PutOptions{})
	old := f.record(t, "x")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	between := f.record(t, "x")
	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, true); err != nil {
		t.Fatal(err)
	}
	get(t, s, "x")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	get(t, s, "x")
	name, _ := nebula.ID("x").Name()
	for _, r := range []nebula.Record{old, between} {
		f.unchecked(t, name, r.Envelope)
		if c, err := s.Get(t.Context(), "x"); err == nil {
			t.Errorf("a record from before the rotations opens as %q", c.Secret.Reveal())
		}
	}
}

// Somebody puts an old record back, and a rotation seals it anew. It is refused even if
// the key of the mark is destroyed.
func TestRollbackGuardIsNotLaundered(t *testing.T) {
	f := newFixture(t)
	s := f.open(t, nebula.Options{RollbackGuard: &heldGuard{}})
	put(t, s, "x", "1", nebula.PutOptions{})
	old := f.record(t, "x")
	f.clock.advance(time.Hour)
	put(t, s, "x", "2", nebula.PutOptions{})
	key, _ := s.Keys(t.Context())
	f.putBack(t, "x", old)
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.DestroyKey(t.Context(), key.ID, nebula.DestroyOptions{}), "")
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrRolledBack)
	put(t, f.Store, "x", "3", nebula.PutOptions{})
	get(t, s, "x") // a later one is accepted
}

func TestRollbackGuardThatIsFull(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	put(t, f.Store, "y", "1", nebula.PutOptions{})
	guard.full = true
	put(t, s, "x", "2", nebula.PutOptions{})
	get(t, s, "y")
	f.calls.take()
	_, err := s.Put(t.Context(), "z", value("1"), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrUsage)
	if made := f.calls.take(); len(made) > 0 {
		t.Errorf("it was refused after the calls %v", made)
	}
}

// Only an acknowledged deletion is noted in a mark. If the credential comes back, the
// note is removed.
func TestRollbackGuardNotesDeletions(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	deleted := func() bool { return !guard.marks["memory: x"].DeletedAt.IsZero() }
	put(t, s, "x", "1", nebula.PutOptions{})
	name, _ := nebula.ID("x").Name()
	if _, err := f.memory.Delete(t.Context(), name, nebula.Precondition{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrNotFound)
	if deleted() {
		t.Error("a credential that vanished is noted as deleted")
	}
	wantKind(t, f.Restore(t.Context(), "x"), "")
	wantKind(t, failure(s.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	if !deleted() {
		t.Error("an acknowledged deletion is not noted")
	}
	wantKind(t, f.Restore(t.Context(), "x"), "") // by another machine
	get(t, s, "x")
	if deleted() {
		t.Error("a credential that is there is noted as deleted")
	}
	wantKind(t, failure(s.Purge(t.Context(), "x")), "")
	if !deleted() {
		t.Error("an acknowledged purge is not noted")
	}
	wantKind(t, failure(s.Purge(t.Context(), "never")), "")
	if _, found := guard.marks["memory: never"]; found {
		t.Error("a deletion made a mark")
	}
}

// If the guard cannot be read, nothing is stored. If the mark cannot be written after
// the store, the error says that the credential is stored.
func TestRollbackGuardThatFails(t *testing.T) {
	f := newFixture(t)
	guard := &heldGuard{}
	s := f.open(t, nebula.Options{RollbackGuard: guard})
	put(t, s, "x", "1", nebula.PutOptions{})
	f.calls.take()
	put(t, s, "x", "2", nebula.PutOptions{})
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve x store x]" {
		t.Errorf("with a guard, a put calls %v", made)
	}
	guard.loadErr = &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the guard cannot be read"}
	_, err := s.Put(t.Context(), "new", value("1"), nebula.PutOptions{IfAbsent: true})
	wantKind(t, err, nebula.ErrPermissionDenied)
	_, err = s.Adopt(t.Context(), nebula.Credential{ID: "new", Secret: value("1"), Metadata: get(t, f.Store, "x").Metadata}, nebula.AdoptOptions{Older: true})
	wantKind(t, err, nebula.ErrPermissionDenied)
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve x]" {
		t.Errorf("it was refused after the calls %v", made)
	}
	guard.loadErr, guard.updateErr = nil, &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the guard cannot be written"}
	for id, options := range map[nebula.ID]nebula.PutOptions{"a": {}, "b": {Force: true}} {
		_, err := s.Put(t.Context(), id, value("3"), options)
		wantKind(t, err, nebula.ErrPermissionDenied)
		if c := get(t, f.Store, id); err == nil || !strings.Contains(err.Error(), "the credential is stored") || string(c.Secret.Reveal()) != "3" {
			t.Errorf("%v; there is %q", err, c.Secret.Reveal())
		}
	}
}
