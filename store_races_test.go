package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

func value(s string) nebula.Secret { return nebula.NewSecret([]byte(s)) }

// heldBack is a key that calls first before it opens for the first time, and that fails
// with err, if there is one.
type heldBack struct {
	nebula.Key
	once  sync.Once
	first func()
	err   error
	asked atomic.Int32
}

func (k *heldBack) Secret(ctx context.Context, s nebula.Slot) ([]byte, error) {
	k.asked.Add(1)
	if k.first != nil {
		k.once.Do(k.first)
	}
	if k.err != nil {
		return nil, k.err
	}
	return k.Key.Secret(ctx, s)
}

// While somebody types a passphrase for five minutes, another process replaces the data
// key. The write that follows is under the new key.
func TestKeyringAgesWhileAPassphraseIsTyped(t *testing.T) {
	r := newRemote()
	admin, key := r.initialised(t)
	slow := &heldBack{Key: key, first: func() {
		r.clock.advance(5 * time.Minute)
		if _, err := admin.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Error(err)
		}
	}}
	put(t, r.open(t, nebula.Options{Keys: []nebula.Key{slow}}), "x", "v", nebula.PutOptions{})
	get(t, admin, "x")
}

// A late answer brings an old keyring. It does not replace a newer one, and nothing is
// sealed with it.
func TestLateKeyringIsNotHeld(t *testing.T) {
	r := newRemote()
	admin, key := r.initialised(t)
	s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	put(t, s, "x", "v", nebula.PutOptions{})
	r.clock.advance(2 * time.Minute)
	once := true
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if name.IsKeyring() && once {
			once = false
			if _, err := admin.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	put(t, s, "a", "v", nebula.PutOptions{IfAbsent: true})
	put(t, s, "b", "v", nebula.PutOptions{})
	for _, id := range []nebula.ID{"a", "b", "x"} {
		get(t, admin, id)
	}
}

// After a write of the keyring, some reads still return the older one.
func TestReadsOfTheKeyringThatAreLate(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	before, err := r.Retrieve(t.Context(), nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	r.retrieved = func(name nebula.Name, found *nebula.Record) error {
		if late++; name.IsKeyring() && found.Version == "2" && late < 4 {
			*found = before
		}
		return nil
	}
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Error(err)
	}
	if late < 4 {
		t.Error("no read was late")
	}
	get(t, s, "x")
}

// A write ends before a rotation may look for the last records under the old key,
// however often the layers below try it again.
func TestWritesAreBoundedByTheKeyringsAge(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	for i, age := range []time.Duration{0, 59 * time.Second} {
		r.clock.advance(age)
		bounded := false
		r.storeCtx = func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			bounded = ok && time.Until(deadline) < 2*time.Minute-age
		}
		put(t, s, nebula.ID(fmt.Sprint("x", i)), "v", nebula.PutOptions{IfAbsent: true})
		if !bounded {
			t.Errorf("with a keyring %v old, a write has no bound", age)
		}
	}
}

// If the backend does not compare the keyring, writers hold the old key for a while,
// lists are late, and clocks differ. A rotation waits long enough for all of that.
func TestRotateOnARemoteBackend(t *testing.T) {
	r := newRemote()
	r.description.ListLag = 8 * time.Minute
	admin, key := r.initialised(t)
	writer := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	put(t, writer, "before", "v", nebula.PutOptions{})
	r.clock.advance(time.Hour)
	put(t, writer, "again", "v", nebula.PutOptions{})
	wrote := false
	var waited []time.Duration
	result, err := admin.Rotate(t.Context(), nebula.RotateOptions{Waiting: func(w nebula.RotateWait) {
		waited = append(waited, w.Duration)
		if wrote {
			return
		}
		wrote = true
		r.clock.advance(59 * time.Second)
		put(t, writer, "late", "v", nebula.PutOptions{IfAbsent: true}) // its keyring is young enough
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(waited) == 0 || waited[0] != 10*time.Minute {
		t.Errorf("it waited %v", waited)
	}
	for _, id := range []nebula.ID{"before", "again", "late"} {
		name, _ := id.Name()
		if got := r.records[name].Envelope.KeyID(); got != result.KeyID {
			t.Errorf("%s is under %v, not %v", id, got, result.KeyID)
		}
	}
}

// The clock of the process that began a rotation is an hour ahead, or behind.
func TestResumeWithAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		r := newRemote()
		other, key := r.initialised(t)
		put(t, other, "x", "v", nebula.PutOptions{})
		r.clock.advance(ahead)
		if err := nebula.SwitchKey(t.Context(), other, key, true); err != nil {
			t.Fatal(err)
		}
		r.clock.advance(-ahead)
		var waited time.Duration
		s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
		if _, err := s.Rotate(t.Context(), nebula.RotateOptions{ResumeOnly: true, Waiting: func(w nebula.RotateWait) { waited += w.Duration }}); err != nil {
			t.Fatal(err)
		}
		if waited != 2*time.Minute {
			t.Errorf("with a clock %v ahead it waited %v", ahead, waited)
		}
	}
}

// If a rotation is resumed on the same machine, it waits for the rest of the time. On
// another machine it waits the whole time again, unless so much has passed that even
// clocks that differ by an hour leave no doubt.
func TestResumeDoesNotWaitAnew(t *testing.T) {
	pins := &heldPins{}
	for _, resumed := range []struct {
		pins         nebula.Pins
		after, waits time.Duration
	}{
		{pins, 90 * time.Second, 30 * time.Second},
		{pins, 5 * time.Minute, 0},
		{nil, 5 * time.Minute, 2 * time.Minute},
		{nil, 63 * time.Minute, 0},
	} {
		pins.pins = nil
		r := newRemote()
		key := newKeyFile(t)
		options := nebula.Options{Keys: []nebula.Key{key}, Pins: pins}
		s := r.open(t, options)
		if _, err := s.Init(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Rotate(ctx, nebula.RotateOptions{Waiting: func(w nebula.RotateWait) {
			if w.Duration != 2*time.Minute || !strings.Contains(w.Reason, "writers") {
				t.Errorf("it waits %+v", w)
			}
			cancel()
		}})
		wantKind(t, err, nebula.ErrInterrupted)
		r.clock.advance(resumed.after - 2*time.Minute) // the waiting that was cut short has already moved the clock
		options.Pins = resumed.pins
		var waited time.Duration
		_, err = r.open(t, options).Rotate(t.Context(), nebula.RotateOptions{
			ResumeOnly: true, Waiting: func(w nebula.RotateWait) { waited += w.Duration }})
		if err != nil || waited != resumed.waits {
			t.Errorf("after %v, with pins %t, it waited %v, %v", resumed.after, resumed.pins != nil, waited, err)
		}
	}
}

// The time of the passes counts as waiting, but the last pass begins only when all of
// the waiting is over.
func TestRotateWaitsBesideItsPasses(t *testing.T) {
	for _, test := range []struct {
		page, waits time.Duration
		passes      int
	}{
		{0, 2 * time.Minute, 3},
		{20 * time.Second, 40 * time.Second, 3}, // a pass has two pages
		{time.Minute, 0, 2},
	} {
		r := newRemote()
		s, _ := r.initialised(t)
		put(t, s, "x", "v", nebula.PutOptions{})
		pages := 0
		r.listed = func(context.Context) error {
			pages++
			r.clock.advance(test.page)
			return nil
		}
		var waited time.Duration
		_, err := s.Rotate(t.Context(), nebula.RotateOptions{Waiting: func(w nebula.RotateWait) { waited += w.Duration }})
		if err != nil || waited != test.waits || pages != 2*test.passes {
			t.Errorf("with %v for each page, it waited %v and read %d pages: %v", test.page, waited, pages, err)
		}
	}
}

func TestRotateLosesNoWriteThatComesBetween(t *testing.T) {
	r := newRemote()
	admin, key := r.initialised(t)
	writer := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	put(t, writer, "x", "1", nebula.PutOptions{})
	between := false
	r.store = func(name nebula.Name, _ nebula.StoreOptions) error {
		if name.IsKeyring() || between {
			return nil
		}
		between = true // the sweep has read x, and is about to write it
		put(t, writer, "x", "2", nebula.PutOptions{})
		return nil
	}
	result, err := admin.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil || !between {
		t.Fatal(err)
	}
	name, _ := nebula.ID("x").Name()
	if c := get(t, admin, "x"); string(c.Secret.Reveal()) != "2" || r.records[name].Envelope.KeyID() != result.KeyID {
		t.Errorf("x is %q under %v", c.Secret.Reveal(), r.records[name].Envelope.KeyID())
	}
}

// A mount that was made again counts its versions from 1.
func TestKeyringVersionThatComesBack(t *testing.T) {
	r := newRemote()
	s, key := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	r.wipe()
	fresh := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	if _, err := fresh.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(time.Hour)
	// It is another store. That its keyring has version 1, too, does not make it the same.
	_, err := s.Put(t.Context(), "y", value("v"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrUntrustedKey)
	put(t, fresh, "y", "v", nebula.PutOptions{})
}

func TestRotateFailsWhereARecordCannotBeWritten(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrTooLarge, nebula.ErrPermissionDenied} {
		r := newRemote()
		s, _ := r.initialised(t)
		put(t, s, "x", "v", nebula.PutOptions{})
		put(t, s, "y", "v", nebula.PutOptions{})
		r.store = func(name nebula.Name, _ nebula.StoreOptions) error {
			if name.IsKeyring() {
				return nil
			}
			return &nebula.Error{Kind: kind, Message: "what is missing"}
		}
		pages := 0
		r.listed = func(ctx context.Context) error {
			if pages++; pages == 2 {
				<-ctx.Done() // the record's failure ends the list
				return &nebula.Error{Kind: nebula.ErrInterrupted, Message: "cancelled", Err: ctx.Err()}
			}
			return nil
		}
		result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
		if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), "what is missing") || len(result.Left) > 0 {
			t.Errorf("rotating gave %+v, %v", result, err)
		}
		get(t, s, "x")
		get(t, s, "y")
	}
}

func TestResumeDropsSlots(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	lost := newKeyFile(t)
	slot, err := f.AddKey(t.Context(), lost, "")
	if err != nil {
		t.Fatal(err)
	}
	both := f.open(t, nebula.Options{Keys: []nebula.Key{f.key, lost}})
	ctx, cancel := context.WithCancel(t.Context())
	f.calls.step(func(c provider.Call) {
		if c.Op == "list" {
			cancel()
		}
	})
	if _, err := both.Rotate(ctx, nebula.RotateOptions{}); err == nil {
		t.Fatal("it was not interrupted")
	}
	f.calls.step(nil)
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{slot.ID}}); err != nil {
		t.Fatal(err)
	}
	if info, _ := f.Keys(t.Context()); len(info.Slots) != 1 || info.Rotating {
		t.Errorf("the keyring is %+v", info)
	}
}

// A resumed rotation writes the keyring once, at its end.
func TestResumeWritesTheKeyringOnce(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	f.calls.step(func(c provider.Call) {
		if c.Op == "list" {
			cancel()
		}
	})
	if _, err := f.Rotate(ctx, nebula.RotateOptions{}); err == nil {
		t.Fatal("it was not interrupted")
	}
	f.calls.step(nil)
	before := keysOf(t, f.Store)
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := keysOf(t, f.Store); !before.Rotating || after.Rotating || after.Generation != before.Generation+1 {
		t.Errorf("from %+v to %+v", before, after)
	}
}

func TestDestroyWhileRotating(t *testing.T) {
	f := newFixture(t)
	old, _ := f.Keys(t.Context())
	if err := nebula.SwitchKey(t.Context(), f.Store, f.key, true); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.DestroyKey(t.Context(), old.ID, nebula.DestroyOptions{}), nebula.ErrUsage)
}

// oddKey makes slots that nobody could open again.
type oddKey struct {
	nebula.Key
	slot   nebula.Slot
	secret []byte
}

func (oddKey) Opens(string) bool                                     { return true }
func (k oddKey) Secret(context.Context, nebula.Slot) ([]byte, error) { return k.secret, nil }
func (k oddKey) NewSlot(_ context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	slot := k.slot
	if slot.ID == "" {
		slot.ID, slot.Salt = id, salt
	}
	return slot, k.secret, nil
}

func TestKeyThatWouldSpoilTheKeyring(t *testing.T) {
	good := make([]byte, 32)
	for name, key := range map[string]oddKey{
		"control character": {slot: nebula.Slot{Kind: "kms\n"}, secret: good},
		"no kind":           {secret: good},
		"out of bounds":     {slot: nebula.Slot{Kind: nebula.SlotArgon2id, Memory: 1}, secret: good},
		"data":              {slot: nebula.Slot{Kind: nebula.SlotKeyFile, Data: []byte("x")}, secret: good},
		"data is missing":   {slot: nebula.Slot{Kind: nebula.SlotAWSKMS}, secret: good},
		"another's id":      {slot: nebula.Slot{Kind: "kms", ID: "aaaaaaaa"}, secret: good},
		"no secret":         {slot: nebula.Slot{Kind: "kms"}},
		"short secret":      {slot: nebula.Slot{Kind: "kms"}, secret: good[:16]},
	} {
		f := newFixture(t)
		put(t, f.Store, "x", "v", nebula.PutOptions{})
		if _, err := f.AddKey(t.Context(), key, ""); err == nil {
			t.Errorf("%s: the key was added", name)
		}
		get(t, f.open(t, nebula.Options{}), "x")
	}
}

func TestPreviousIsChecked(t *testing.T) {
	r := newRemote()
	s, key := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{Tags: map[string]string{"of": "x"}})
	put(t, s, "y", "v", nebula.PutOptions{Tags: map[string]string{"of": "y"}})
	x := get(t, s, "x") // version 1, like y
	_, err := s.Put(t.Context(), "y", value("2"), nebula.PutOptions{Previous: &x})
	wantKind(t, err, nebula.ErrUsage)
	_, err = s.Put(t.Context(), "x", value("2"), nebula.PutOptions{Previous: &nebula.Credential{ID: "x"}})
	wantKind(t, err, nebula.ErrUsage)
	scoped := r.open(t, nebula.Options{Keys: []nebula.Key{key}, Scope: "other"})
	_, err = scoped.Put(t.Context(), "x", value("2"), nebula.PutOptions{Previous: &x})
	wantKind(t, err, nebula.ErrConflict)
}

// A record that does not even parse has no known version.
func TestForceKeepsTheConditionThatWasAskedFor(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "x", "v", nebula.PutOptions{})
	r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
		if name.IsKeyring() {
			return nil
		}
		return &nebula.Error{Kind: nebula.ErrCorrupted}
	}
	_, err := s.Put(t.Context(), "x", value("2"), nebula.PutOptions{Force: true, IfVersion: "7"})
	wantKind(t, err, nebula.ErrConflict)
	put(t, s, "x", "2", nebula.PutOptions{Force: true, IfVersion: "1"})
}

// If a backend cannot check preconditions, a write with a condition of the caller fails,
// and any other write is made without one.
func TestBackendWithoutPreconditions(t *testing.T) {
	r := newRemote()
	s, _ := r.initialised(t)
	r.description.NoPreconditions = true
	r.store = func(_ nebula.Name, o nebula.StoreOptions) error {
		if !o.Precondition.IsZero() {
			return &nebula.Error{Kind: nebula.ErrNotSupported}
		}
		return nil
	}
	s = r.open(t, nebula.Options{Keys: s.KeysForTest()})
	put(t, s, "x", "1", nebula.PutOptions{})
	put(t, s, "x", "2", nebula.PutOptions{})
	for _, options := range []nebula.PutOptions{{IfAbsent: true}, {IfVersion: "2"}} {
		_, err := s.Put(t.Context(), "x", value("3"), options)
		wantKind(t, err, nebula.ErrNotSupported)
	}
	if c := get(t, s, "x"); string(c.Secret.Reveal()) != "2" {
		t.Errorf("x is %q", c.Secret.Reveal())
	}
}

// An unsupported key, like Argon2id in FIPS mode, says nothing about the backend.
func TestKeyThatIsNotSupportedDropsNoCondition(t *testing.T) {
	r := newRemote()
	other, key := r.initialised(t)
	put(t, other, "x", "v", nebula.PutOptions{})
	failing := &heldBack{Key: key, err: &nebula.Error{Kind: nebula.ErrNotSupported}}
	s := r.open(t, nebula.Options{Keys: []nebula.Key{failing}})
	_, err := s.Put(t.Context(), "x", value("1"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrNotSupported)
	failing.err = nil
	once := true
	r.store = func(nebula.Name, nebula.StoreOptions) error {
		if once {
			once = false
			if _, err := other.Tag(t.Context(), "x", map[string]string{"kept": "yes"}, nil); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	put(t, s, "x", "2", nebula.PutOptions{})
	if c := get(t, other, "x"); c.Metadata.Tags["kept"] != "yes" {
		t.Errorf("an acknowledged tag is lost: %v", c.Metadata.Tags)
	}
}

func TestScopeOfDeletedCredentials(t *testing.T) {
	f := newFixture(t)
	team, other := f.open(t, nebula.Options{Scope: "team"}), f.open(t, nebula.Options{Scope: "other"})
	put(t, team, "x", "v", nebula.PutOptions{})
	wantKind(t, failure(team.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	// Nobody can tell whose it is, so a purge that was not done is not acknowledged.
	wantKind(t, failure(team.Purge(t.Context(), "x")), nebula.ErrNotSupported)
	wantKind(t, other.Restore(t.Context(), "x"), nebula.ErrNotFound)
	if found, _ := f.Exists(t.Context(), "x"); found {
		t.Error("a store of another scope brought it back")
	}
	wantKind(t, team.Restore(t.Context(), "x"), "")
	wantKind(t, failure(team.Purge(t.Context(), "x")), "")
	wantKind(t, f.Restore(t.Context(), "x"), nebula.ErrNotFound)
}

// A process ended after it brought a record back and before it sealed the record anew.
// The next call does the rest.
func TestRestoreIsResumed(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	wantKind(t, failure(f.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")
	if _, err := f.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	name, _ := nebula.ID("x").Name()
	if err := f.memory.(nebula.Restorer).Restore(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.Restore(t.Context(), "x"), "")
	get(t, f.Store, "x")
	wantKind(t, f.Restore(t.Context(), "x"), nebula.ErrConflict)
}

func TestVerifyAsksForTheKeyOnce(t *testing.T) {
	f := newFixture(t)
	for i := range 20 {
		put(t, f.Store, nebula.ID(fmt.Sprint("x", i)), "v", nebula.PutOptions{})
	}
	k := &heldBack{Key: f.key, err: &nebula.Error{Kind: nebula.ErrInterrupted, Message: "nothing was typed"}}
	s := f.open(t, nebula.Options{Keys: []nebula.Key{k}})
	n := 0
	for _, err := range s.List(t.Context(), nebula.ListOptions{Verify: true}) {
		n++
		wantKind(t, err, nebula.ErrInterrupted)
	}
	if n != 1 || k.asked.Load() != 1 {
		t.Errorf("%d entries, asked %d times", n, k.asked.Load())
	}
}

// If the keyring has aged, many writers at once read it only once.
func TestWritersReadAnAgedKeyringOnce(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	f.clock.advance(2 * time.Minute)
	f.calls.take()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := f.Put(t.Context(), nebula.ID(fmt.Sprint("y", i)), value("v"), nebula.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	reads := 0
	for _, call := range f.calls.take() {
		if call == "retrieve .keyring" {
			reads++
		}
	}
	if reads != 1 {
		t.Errorf("the keyring was read %d times", reads)
	}
}

func TestWrongKeyOnPutIsSaidAsSuch(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	s := f.open(t, nebula.Options{Keys: []nebula.Key{newKeyFile(t)}})
	_, err := s.Put(t.Context(), "x", value("v"), nebula.PutOptions{Force: true})
	wantKind(t, err, nebula.ErrWrongKey)
	if strings.Contains(fmt.Sprint(err), "metadata would be lost") {
		t.Errorf("a wrong key is taken for a damaged record: %v", err)
	}
}

func TestCancelledBetweenTwoTries(t *testing.T) {
	r := newRemote()
	_, key := r.initialised(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	r.store = func(nebula.Name, nebula.StoreOptions) error {
		cancel()
		return &nebula.Error{Kind: nebula.ErrConflict}
	}
	_, err := s.Put(ctx, "x", value("v"), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrInterrupted)
}

func TestTimesThatAreWrittenHaveMicroseconds(t *testing.T) {
	f := newFixture(t)
	c := nebula.Credential{ID: "x", Secret: value("v"), Metadata: nebula.Metadata{
		CreatedAt: f.clock.now(), LastModified: f.clock.now().Add(123456789 * time.Nanosecond)}}
	if _, err := f.Adopt(t.Context(), c, nebula.AdoptOptions{Precondition: nebula.IfAbsent()}); err != nil {
		t.Fatal(err)
	}
	put(t, f.Store, "x", "2", nebula.PutOptions{})
	if m := get(t, f.Store, "x").Metadata.LastModified; m.Nanosecond()%1000 != 0 || !m.After(c.Metadata.LastModified) {
		t.Errorf("last_modified is %v", m)
	}
}

// If the pin cannot be written after the keyring, the call succeeds with a warning.
func TestPinsThatFailAfterTheWrite(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		f := newFixture(t)
		pins := &heldPins{}
		var log strings.Builder
		s := f.pinned(t, nebula.Options{Pins: pins, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		put(t, s, "x", "v", nebula.PutOptions{})
		f.calls.step(func(c provider.Call) {
			if c.Op == provider.OpStore {
				pins.mu.Lock()
				pins.readOnly, pins.damaged = !damaged, damaged
				pins.mu.Unlock()
			}
		})
		if _, err := s.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
			t.Error(err)
		}
		if strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("warnings: %s", &log)
		}
	}
}

// Between reading a record and opening it, a rotation may end, and its old key may be
// destroyed. The record is then read again, and opens under the new key.
func TestRotationEndsWhileARecordIsRead(t *testing.T) {
	for _, destroyed := range []bool{false, true} {
		r := newRemote()
		admin, key := r.initialised(t)
		s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
		put(t, s, "x", "v", nebula.PutOptions{})
		put(t, s, "y", "v", nebula.PutOptions{})
		once := true
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			if name.ID() != "x" || !once {
				return nil
			}
			once = false
			before, err := admin.Keys(t.Context())
			if err == nil {
				_, err = admin.Rotate(t.Context(), nebula.RotateOptions{})
			}
			if err == nil && destroyed {
				err = admin.DestroyKey(t.Context(), before.ID, nebula.DestroyOptions{})
			}
			if err != nil {
				t.Error(err)
			}
			get(t, s, "y") // this reads the new keyring
			return nil
		}
		if c, err := s.Get(t.Context(), "x"); err != nil || string(c.Secret.Reveal()) != "v" {
			t.Errorf("destroyed %t: get: %v", destroyed, err)
		}
		once = true
		for e, err := range s.List(t.Context(), nebula.ListOptions{Verify: true}) {
			if err != nil || e.Err != nil {
				t.Errorf("destroyed %t: the list shows %s, %v, %v", destroyed, e.ID, e.Err, err)
			}
		}
	}
}
