package nebula_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// wantAllUnder reads every record from the backend and checks its key id.
func (f *fixture) wantAllUnder(t *testing.T, id nebula.KeyID) {
	t.Helper()
	for _, text := range list(t, f.Store, nebula.ListOptions{}) {
		name, _ := nebula.ID(text).Name()
		r, err := f.memory.Retrieve(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Envelope.KeyID(); got != id {
			t.Errorf("%s is under %v, not %v", text, got, id)
		}
	}
}

func TestRotate(t *testing.T) {
	f := newFixture(t)
	first := put(t, f.Store, "x0", "old", nebula.PutOptions{})
	for i := range 50 {
		put(t, f.Store, nebula.ID(fmt.Sprint("x", i)), fmt.Sprint("value ", i), nebula.PutOptions{Tags: map[string]string{"n": fmt.Sprint(i)}})
	}
	before := get(t, f.Store, "x7").Metadata
	old, _ := f.Keys(t.Context())
	f.clock.advance(time.Hour)
	looked, sealed := 0, 0
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{Progress: func(n, anew int) {
		looked = max(looked, n)
		if anew < sealed {
			t.Errorf("%d records were sealed anew, after a report of %d", anew, sealed)
		}
		sealed = anew
	}})
	if looked != 50 || sealed != 50 {
		t.Errorf("the last report has %d records, %d sealed anew", looked, sealed)
	}
	if err != nil || result.Sealed != 50 || len(result.Left) > 0 || result.KeyID == old.ID {
		t.Fatalf("rotating gave %+v, %v", result, err)
	}
	f.wantAllUnder(t, result.KeyID)
	for i := range 50 {
		if c := get(t, f.Store, nebula.ID(fmt.Sprint("x", i))); string(c.Secret.Reveal()) != fmt.Sprint("value ", i) {
			t.Errorf("x%d is %q", i, c.Secret.Reveal())
		}
	}
	if after := get(t, f.Store, "x7").Metadata; fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the metadata went from %+v to %+v", before, after)
	}
	info, _ := f.Keys(t.Context())
	if info.Rotating || len(info.Retired) != 1 || info.Retired[0] != old.ID || info.Slots[0].ID != old.Slots[0].ID || info.Slots[0].Salt != old.Slots[0].Salt {
		t.Errorf("the keyring is %+v, was %+v", info, old)
	}
	if c, err := f.GetVersion(t.Context(), "x0", first); err != nil || string(c.Secret.Reveal()) != "old" {
		t.Errorf("the history gave %q, %v", c.Secret.Reveal(), err)
	}
	if again, err := f.Rotate(t.Context(), nebula.RotateOptions{ResumeOnly: true}); err != nil || again.KeyID != result.KeyID || again.Sealed != 0 {
		t.Errorf("resuming a steady store did %+v, %v", again, err)
	}
	wantKind(t, f.DestroyKey(t.Context(), result.KeyID, nebula.DestroyOptions{}), nebula.ErrUsage)
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), "")
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), nebula.ErrNotFound)
	_, err = f.GetVersion(t.Context(), "x0", first)
	wantKind(t, err, nebula.ErrWrongKey)
}

func TestRotateKeepsEverySlotOrSaysWhich(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	absent := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), absent, "")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrUsage)
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{"nothere2"}})
	wantKind(t, err, nebula.ErrNotFound)
	info, _ := f.Keys(t.Context())
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{info.Slots[0].ID, slot.ID}})
	wantKind(t, err, nebula.ErrUsage)
	if after, _ := f.memory.Retrieve(t.Context(), nebula.KeyringName()); after.Version != before.Version {
		t.Error("a refused rotation changed the keyring")
	}
	both := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, absent}})
	if _, err := both.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []nebula.Key{f.key, absent} {
		get(t, f.open(t, nebula.Options{Keys: []nebula.Key{key}}), "x")
	}
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{slot.ID}}); err != nil {
		t.Fatal(err)
	}
	_, err = f.open(t, nebula.Options{Keys: []nebula.Key{absent}}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrWrongKey)
}

var errKilled = errors.New("killed")

// The process ends at each call of a rotation in turn, before or after the call took
// effect. Old and new processes can read every credential at all times. The next
// rotation finishes the first one, with no third key.
func TestRotateKilledAtEveryStep(t *testing.T) {
	for _, effect := range []bool{false, true} {
		for step := 1; ; step++ {
			f := newFixture(t)
			for i := range 5 {
				put(t, f.Store, nebula.ID(fmt.Sprint("x", i)), "v", nebula.PutOptions{})
			}
			reader := f.open(t, nebula.Options{})
			get(t, reader, "x0")
			var calls atomic.Int32
			killer := f.connect(t, provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
				if c.Op == provider.OpConnect {
					return next(ctx)
				}
				switch n := int(calls.Add(1)); {
				case n < step:
					return next(ctx)
				case n == step && effect:
					_ = next(ctx)
				}
				return errKilled
			}))
			dying, err := nebula.Open(t.Context(), killer, nebula.Options{Keys: []nebula.Key{f.key}, MaxConcurrency: 1})
			if err == nil {
				_, err = dying.Rotate(t.Context(), nebula.RotateOptions{})
			}
			if err == nil {
				if step < 10 {
					t.Fatalf("a rotation took %d calls", step)
				}
				break
			}
			for i := range 5 {
				id := nebula.ID(fmt.Sprint("x", i))
				for _, s := range []*nebula.Store{reader, f.open(t, nebula.Options{})} {
					if c, err := s.Get(t.Context(), id); err != nil || string(c.Secret.Reveal()) != "v" {
						t.Fatalf("killed at call %d (effect %t): %s cannot be read: %v", step, effect, id, err)
					}
				}
			}
			put(t, reader, "x1", "written meanwhile", nebula.PutOptions{})
			result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
			if err != nil {
				t.Fatalf("killed at call %d (effect %t): resuming failed: %v", step, effect, err)
			}
			f.wantAllUnder(t, result.KeyID)
			info, _ := f.Keys(t.Context())
			// Killed after its last call, the first rotation had ended, and this is a second one.
			if info.Rotating || len(info.Retired) > 2 || len(info.Retired) == 2 && result.Sealed != 5 {
				t.Fatalf("killed at call %d (effect %t): %+v", step, effect, info)
			}
		}
	}
}

func TestRotateBesideWriters(t *testing.T) {
	f := newFixture(t)
	const ids = 20
	var last [ids]atomic.Int64
	for i := range ids {
		put(t, f.Store, nebula.ID(fmt.Sprint("x", i)), "0", nebula.PutOptions{})
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for w := range 4 {
		s := f.open(t, nebula.Options{})
		wg.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				i := (int(n)*4 + w) % ids // each writer has ids of its own
				_, err := s.Put(t.Context(), nebula.ID(fmt.Sprint("x", i)), nebula.NewSecret([]byte(fmt.Sprint(n))), nebula.PutOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				last[i].Store(n)
				c, err := s.Get(t.Context(), nebula.ID(fmt.Sprint("x", i)))
				if err != nil || string(c.Secret.Reveal()) != fmt.Sprint(n) {
					t.Errorf("read back %q, %v, want %d", c.Secret.Reveal(), err, n)
					return
				}
			}
		})
	}
	var result nebula.RotateResult
	for range 3 {
		var err error
		if result, err = f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	f.wantAllUnder(t, result.KeyID)
	for i := range ids {
		want := fmt.Sprint(last[i].Load())
		if c := get(t, f.Store, nebula.ID(fmt.Sprint("x", i))); string(c.Secret.Reveal()) != want {
			t.Errorf("x%d is %q, the last write acknowledged was %s", i, c.Secret.Reveal(), want)
		}
	}
}

// If a record cannot be read, the rotation does not end and its key is not destroyed,
// unless the caller names the record and leaves it.
func TestRotateNamesWhatItCannotRead(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "good", "v", nebula.PutOptions{})
	put(t, f.Store, "bad", "v", nebula.PutOptions{})
	swap(t, f.memory, "good", "bad")
	old, _ := f.Keys(t.Context())

	result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	if err == nil || !strings.Contains(err.Error(), `"bad"`) || !strings.Contains(err.Error(), "--leave") || strings.Contains(err.Error(), `"good"`) {
		t.Errorf("the error does not say which, or what to do: %v", err)
	}
	if result.Sealed != 1 || len(result.Left) != 1 || result.Left[0].ID != "bad" {
		t.Errorf("rotating gave %+v", result)
	}
	if info, _ := f.Keys(t.Context()); !info.Rotating {
		t.Error("the rotation has ended, although a record is left behind")
	}

	result, err = f.Rotate(t.Context(), nebula.RotateOptions{Leave: []string{"bad"}})
	if err != nil || len(result.Left) != 1 || result.Left[0].ID != "bad" {
		t.Errorf("leaving it gave %+v, %v", result, err)
	}
	if info, _ := f.Keys(t.Context()); info.Rotating {
		t.Error("the rotation has not ended")
	}
	err = f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	if err == nil || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("the error does not say which: %v", err)
	}
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{Leave: []string{"bad"}}), "")
}

// A record that came back from a backup, or whose key id was edited to the current one,
// would be lost with the retired key. So the key stays.
func TestDestroyKeyLooksAtEveryRecord(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	before := f.record(t, "x")
	old, _ := f.Keys(t.Context())
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("x").Name()
	f.unchecked(t, name, before.Envelope)
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), nebula.ErrCorrupted)

	f.unchecked(t, name, nebula.WithKeyID(before.Envelope, result.KeyID))
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), nebula.ErrCorrupted)

	f.unchecked(t, name, before.Envelope)
	if err := f.Restore(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), "")
	get(t, f.Store, "x")
}

// unchecked stores a record that the provider would refuse, as anyone who can write the
// backend can.
func (f *fixture) unchecked(t *testing.T, name nebula.Name, e *nebula.Envelope) {
	t.Helper()
	ring, err := f.memory.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name nebula.Name
		e    *nebula.Envelope
	}{{nebula.KeyringName(), e}, {name, e}, {nebula.KeyringName(), ring.Envelope}} {
		if _, err := f.memory.Store(t.Context(), step.name, step.e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// The error also names listed names that are not ids, and records that may not be read.
func TestRotateNamesWhatCannotBeTold(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	put(t, s, "secret", "v", nebula.PutOptions{})
	r.strangers = []nebula.Entry{
		{ID: "nebula-9f3c", Err: &nebula.Error{Kind: nebula.ErrCorrupted, Message: "its id is lost"}},
		{ID: "gone", Err: &nebula.Error{Kind: nebula.ErrCorrupted, Message: "its tag is lost"}},
	}
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if name.ID() == "secret" {
			return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "you may not"}
		}
		return nil
	}
	_, err := s.Rotate(t.Context(), nebula.RotateOptions{Leave: []string{"gone"}})
	wantKind(t, err, nebula.ErrCorrupted)
	for _, want := range []string{`"nebula-9f3c" (its id is lost)`, `"secret" (you may not)`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{Leave: []string{"gone", "secret", "nebula-9f3c"}}); err != nil {
		t.Error(err)
	}
}

// A record that was deleted before the rotation was not sealed anew. Restoring it by
// name does that.
func TestRestoreAfterRotation(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.Restore(t.Context(), "x"), "")
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "v" {
		t.Errorf("restored: %q", c.Secret.Reveal())
	}
	f.wantAllUnder(t, result.KeyID)
}

// A rotation that cannot be done is refused before anything changes.
func TestRotateRefuses(t *testing.T) {
	f := newFixture(t)
	slot, err := f.AddKey(t.Context(), newKeyFile(t), "")
	if err != nil {
		t.Fatal(err)
	}
	before := keysOf(t, f.Store)
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{ResumeOnly: true, Drop: []string{slot.ID}})
	wantKind(t, err, nebula.ErrUsage)
	wantKind(t, f.RemoveKey(t.Context(), slot.ID), "")
	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, true); err != nil {
		t.Fatal(err)
	}
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{slot.ID}})
	wantKind(t, err, nebula.ErrNotFound)
	if info := keysOf(t, f.Store); !info.Rotating || info.Generation != before.Generation+2 {
		t.Errorf("the keyring is now %+v", info)
	}
}

// A keyring holds at most 64 retired keys.
func TestRotateWithoutRoomForTheKey(t *testing.T) {
	f := newFixture(t)
	const most = 64
	for i := range most {
		if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	before := keysOf(t, f.Store)
	_, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrUsage)
	if after := keysOf(t, f.Store); after.Generation != before.Generation || len(after.Retired) != most {
		t.Errorf("the keyring is of generation %d, was %d", after.Generation, before.Generation)
	}
	wantKind(t, f.DestroyKey(t.Context(), before.Retired[most-1], nebula.DestroyOptions{}), "")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Error(err)
	}
}

// A record with edited metadata has the right commitment, and does not open.
func TestRotateNamesWhatWasEdited(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{Tags: map[string]string{"env": "test"}})
	name, _ := nebula.ID("x").Name()
	edited, err := nebula.ParseEnvelope(name, bytes.Replace(f.record(t, "x").Envelope.Bytes(), []byte(`"test"`), []byte(`"prod"`), 1))
	if err != nil {
		t.Fatal(err)
	}
	f.unchecked(t, name, edited)
	_, err = f.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	if err == nil || !strings.Contains(err.Error(), `"x" (the record was damaged, edited, or swapped`) {
		t.Errorf("it says %v", err)
	}
}

// While a record is sealed anew, the backend says that the key was replaced. The pass is
// made again.
func TestRotateWhenTheBackendKnowsAnotherKey(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	refused := false
	r.store = func(name nebula.Name, _ nebula.StoreOptions) error {
		if name.IsKeyring() || refused {
			return nil
		}
		refused = true
		return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged}
	}
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil || !refused || result.Sealed != 1 {
		t.Errorf("%+v, %v", result, err)
	}
}

// A rotation says what it waits for.
func TestRotateSaysWhatItWaitsFor(t *testing.T) {
	for _, c := range []struct {
		compares bool
		lag      time.Duration
		wait     time.Duration
		reason   string
	}{
		{false, 0, 2 * time.Minute, "writers that may still hold the old key"},
		{false, time.Second, 2*time.Minute + time.Second, "writers that may still hold the old key, and lists, which may be late"},
		{true, time.Second, time.Second, "lists, which may be late"},
		{true, 0, 0, ""},
	} {
		r := newRemote()
		r.description.ComparesKeyring, r.description.ListLag = c.compares, c.lag
		s, _ := r.initialised(t)
		var told nebula.RotateWait
		if _, err := s.Rotate(t.Context(), nebula.RotateOptions{Waiting: func(w nebula.RotateWait) { told = w }}); err != nil {
			t.Error(err)
		}
		if told.Duration != c.wait || told.Reason != c.reason {
			t.Errorf("%+v: it waits %v for %s", c, told.Duration, told.Reason)
		}
	}
}

// Another process ends the rotation during this process's last pass. This process does
// not write the keyring again.
func TestRotationThatAnotherProcessEnds(t *testing.T) {
	r := newRemote()
	r.description.ComparesKeyring = true
	s, key := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	other := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	pages, ended := 0, uint64(0)
	r.listed = func(context.Context) error {
		if pages++; pages == 3 { // the first pass took two pages, and sealed the record
			if _, err := other.Rotate(t.Context(), nebula.RotateOptions{ResumeOnly: true}); err != nil {
				t.Error(err)
			}
			ended = keysOf(t, other).Generation
		}
		return nil
	}
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if info := keysOf(t, s); err != nil || info.Rotating || ended == 0 || info.Generation != ended || info.ID != result.KeyID {
		t.Errorf("%v; the keyring is %+v, and the other process left generation %d", err, info, ended)
	}
}
