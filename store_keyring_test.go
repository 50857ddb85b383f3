package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

func TestInit(t *testing.T) {
	f := newEmptyFixture(t)
	_, err := f.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrNotFound)
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Errorf("a store without a keyring gave %v", err)
	}
	_, err = f.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrNotFound)
	id, err := f.Init(t.Context(), f.key)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Keys(t.Context())
	if err != nil || info.ID != id || !info.Authentic || info.Generation != 1 || len(info.Slots) != 1 || info.Slots[0].Kind != nebula.SlotKeyFile {
		t.Errorf("the keyring is %+v, %v", info, err)
	}
	_, err = f.Init(t.Context(), f.key)
	wantKind(t, err, nebula.ErrAlreadyExists)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
}

func TestInitByOneOfMany(t *testing.T) {
	f := newEmptyFixture(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 16 {
		wg.Go(func() {
			_, err := f.Init(t.Context(), f.key)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if nebula.KindOf(err) != nebula.ErrAlreadyExists {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("%d made the keyring", made)
	}
}

func TestFirstKeyMakesTheKeyringOnTheFirstPut(t *testing.T) {
	f := newEmptyFixture(t)
	asked, told := 0, 0
	options := nebula.Options{
		FirstKey: func(context.Context) (nebula.Key, error) {
			asked++
			return f.key, nil
		},
		Initialised: func() { told++ },
	}
	s := f.open(t, options)
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrNotFound)
	if asked > 0 {
		t.Error("reading made a key")
	}
	put(t, s, "x", "1", nebula.PutOptions{})
	put(t, s, "y", "1", nebula.PutOptions{})
	if asked != 1 || told != 1 {
		t.Errorf("the first key was asked for %d times, and a new store told of %d times", asked, told)
	}
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "1" {
		t.Errorf("another process reads %q", c.Secret.Reveal())
	}
}

// Of many processes that put at once, one makes the store and says so.
func TestFirstPutByOneOfMany(t *testing.T) {
	f := newEmptyFixture(t)
	var told atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		s := f.open(t, nebula.Options{
			FirstKey:    func(context.Context) (nebula.Key, error) { return f.key, nil },
			Initialised: func() { told.Add(1) },
		})
		all.Go(func() {
			id := nebula.ID(fmt.Sprintf("x%d", i))
			if _, err := s.Put(t.Context(), id, nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := told.Load(); n != 1 {
		t.Errorf("%d processes say that they made the store", n)
	}
}

// A process looks for the keyring; then another one makes and pins the store. The first
// process does not report that the keyring is gone.
func TestStoreThatIsMadeMeanwhile(t *testing.T) {
	for _, op := range []string{"put", "get", "init"} {
		f := newEmptyFixture(t)
		options := nebula.Options{Keys: []nebula.Key{f.key}, Pins: &heldPins{}, Now: f.clock.now,
			FirstKey: func(context.Context) (nebula.Key, error) { return f.key, nil }}
		other, err := nebula.Open(t.Context(), f.memory, options)
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		s, err := nebula.Open(t.Context(), f.connect(t, provider.WithInterceptors(
			func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
				err := next(ctx)
				if c.Name.IsKeyring() {
					once.Do(func() { put(t, other, "theirs", "v", nebula.PutOptions{}) })
				}
				return err
			})), options)
		if err != nil {
			t.Fatal(err)
		}
		var allowed nebula.Kind
		switch op {
		case "put":
			_, err = s.Put(t.Context(), "ours", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
		case "get":
			_, err = s.Get(t.Context(), "nothing")
			allowed = nebula.ErrNotFound
		case "init":
			_, err = s.Init(t.Context(), f.key)
			allowed = nebula.ErrAlreadyExists
		}
		if err != nil && nebula.KindOf(err) != allowed {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// Records without a keyring are never taken for a new store.
func TestRecordsWithoutKeyring(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	name, _ := nebula.ID("x").Name()
	r, _ := f.memory.Retrieve(t.Context(), name)

	other := newEmptyFixture(t)
	if _, err := other.memory.Store(t.Context(), name, r.Envelope, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s := other.open(t, nebula.Options{FirstKey: func(context.Context) (nebula.Key, error) { return other.key, nil }})
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = s.Put(t.Context(), "y", nebula.NewSecret(nil), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = s.Init(t.Context(), other.key)
	wantKind(t, err, nebula.ErrCorrupted)
	_, err = other.Put(t.Context(), "y", nebula.NewSecret(nil), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrCorrupted)
	if found, _ := other.memory.Exists(t.Context(), nebula.KeyringName()); found {
		t.Error("a keyring was made beside these records")
	}
}

func TestWrongKeyIsNotDamage(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	stranger := f.open(t, nebula.Options{Keys: []nebula.Key{newKeyFile(t)}})
	_, err := stranger.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrWrongKey)
	_, err = stranger.Put(t.Context(), "x", nebula.NewSecret(nil), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrWrongKey)
	nobody := f.open(t, nebula.Options{Keys: []nebula.Key{passphrase("a passphrase of no slot")}})
	_, err = nobody.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnauthenticated)
	_, err = nobody.Get(t.Context(), "none")
	wantKind(t, err, nebula.ErrNotFound) // without asking for a passphrase
	info, err := stranger.Keys(t.Context())
	if err != nil || info.Authentic || len(info.Slots) != 1 {
		t.Errorf("without a key the keyring is %+v, %v", info, err)
	}
	for _, s := range []*nebula.Store{stranger, nobody} {
		if found, err := s.Exists(t.Context(), "x"); !found || err != nil {
			t.Errorf("Exists without a key: %v", err)
		}
		if ids := list(t, s, nebula.ListOptions{}); fmt.Sprint(ids) != "[x]" {
			t.Errorf("List without a key: %v", ids)
		}
	}
}

func TestRecordOfAnotherStore(t *testing.T) {
	f, other := newFixture(t), newFixture(t)
	put(t, other.Store, "x", "v", nebula.PutOptions{})
	name, _ := nebula.ID("x").Name()
	r, _ := other.memory.Retrieve(t.Context(), name)
	_, err := f.memory.Store(t.Context(), name, r.Envelope, nebula.StoreOptions{})
	if !errors.Is(err, nebula.ErrKeyChanged) {
		t.Errorf("a record under another data key was stored: %v", err)
	}
}

func TestAddAndRemoveKeys(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	second := newKeyFile(t)
	slot, err := f.AddKey(ctx, second, "")
	if err != nil || slot.Kind != nebula.SlotKeyFile || len(slot.ID) != 8 {
		t.Fatalf("the new slot is %+v, %v", slot, err)
	}
	withSecond := f.open(t, nebula.Options{Keys: []nebula.Key{second}})
	if c := get(t, withSecond, "x"); string(c.Secret.Reveal()) != "v" {
		t.Errorf("the second key gives %q", c.Secret.Reveal())
	}
	info, _ := f.Keys(ctx)
	if info.Generation != 2 || len(info.Slots) != 2 || info.Slots[1].ID != slot.ID {
		t.Errorf("the keyring is %+v", info)
	}
	wantKind(t, f.RemoveKey(ctx, "nothere2"), nebula.ErrNotFound)
	if err := withSecond.RemoveKey(ctx, info.Slots[0].ID); err != nil {
		t.Fatal(err)
	}
	withFirst := f.open(t, nebula.Options{})
	_, err = withFirst.Get(ctx, "x")
	wantKind(t, err, nebula.ErrWrongKey)
	wantKind(t, withSecond.RemoveKey(ctx, slot.ID), nebula.ErrUsage)
	if c := get(t, withSecond, "x"); string(c.Secret.Reveal()) != "v" {
		t.Error("the last slot was removed")
	}
	_, err = withFirst.AddKey(ctx, second, "")
	wantKind(t, err, nebula.ErrWrongKey)
}

func TestManyKeysAddedAtOnce(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for range 15 {
		wg.Go(func() {
			if _, err := f.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	info, _ := f.Keys(t.Context())
	if len(info.Slots) != 16 || info.Generation != 16 {
		t.Errorf("%d slots of generation %d", len(info.Slots), info.Generation)
	}
	_, err := f.AddKey(t.Context(), newKeyFile(t), "")
	wantKind(t, err, nebula.ErrUsage)
}

func TestPassphraseOpensTheStore(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	words := passphrase("correct horse battery")
	if _, err := f.AddKey(t.Context(), words, ""); err != nil {
		t.Fatal(err)
	}
	// The key file is tried first. The person is asked only if it opens nothing.
	asked := 0
	person := &nebula.Passphrase{Source: func(context.Context) ([]byte, error) {
		asked++
		return []byte("correct horse battery"), nil
	}}
	get(t, f.open(t, nebula.Options{Keys: []nebula.Key{f.key, person}}), "x")
	if asked != 0 {
		t.Error("a passphrase was asked for though the key file fits")
	}
	s := f.open(t, nebula.Options{Keys: []nebula.Key{person}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if asked != 1 {
		t.Errorf("the passphrase was asked for %d times", asked)
	}
	_, err := f.open(t, nebula.Options{Keys: []nebula.Key{passphrase("correct horse batterx")}}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrWrongKey)
}

func TestCallsOfAFreshProcess(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	s := f.open(t, nebula.Options{})
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { get(t, s, "x") }, "[retrieve .keyring retrieve x]"},
		{func() { get(t, s, "x") }, "[retrieve x]"},
		{func() { put(t, s, "x", "2", nebula.PutOptions{}) }, "[retrieve x store x]"},
		{func() { put(t, s, "y", "1", nebula.PutOptions{IfAbsent: true}) }, "[store y]"},
		{func() { _, _ = s.Exists(t.Context(), "x") }, "[exists x]"},
		{func() { _, _ = s.Delete(t.Context(), "x", nebula.DeleteOptions{}) }, "[delete x]"},
		{func() { list(t, s, nebula.ListOptions{}) }, "[list list]"},
	} {
		step.do()
		if made := f.calls.take(); fmt.Sprint(made) != step.want {
			t.Errorf("calls: %v, want %s", made, step.want)
		}
	}
	writer := f.open(t, nebula.Options{})
	put(t, writer, "new", "1", nebula.PutOptions{})
	if made := f.calls.take(); fmt.Sprint(made) != "[retrieve .keyring retrieve new store new]" {
		t.Errorf("a first put calls %v", made)
	}
}

// A fresh process reads the keyring and the record at the same time.
func TestKeyringIsFetchedBesideTheRecord(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	s := f.open(t, nebula.Options{})
	var both sync.WaitGroup
	both.Add(2)
	f.calls.step(func(provider.Call) {
		both.Done()
		both.Wait() // each waits until the other has begun
	})
	done := make(chan error, 1)
	go func() {
		_, err := s.Get(t.Context(), "x")
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("they are read one after the other")
	}
}

// A writer reads the keyring again if it is a minute old.
func TestWritersKeyringIsFresh(t *testing.T) {
	f := newFixture(t)
	f.clock.advance(59 * time.Second)
	put(t, f.Store, "x", "1", nebula.PutOptions{IfAbsent: true})
	if made := f.calls.take(); slices.Contains(made, "retrieve .keyring") {
		t.Error("a young keyring was read again")
	}
	f.clock.advance(time.Second)
	put(t, f.Store, "y", "1", nebula.PutOptions{IfAbsent: true})
	if made := f.calls.take(); !slices.Contains(made, "retrieve .keyring") {
		t.Error("a keyring of 60 seconds was not read again")
	}
	put(t, f.Store, "z", "1", nebula.PutOptions{IfAbsent: true})
	if made := f.calls.take(); slices.Contains(made, "retrieve .keyring") {
		t.Error("the keyring was read once more, although it was just read")
	}
}

func TestCancelledContexts(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Get(ctx, "x")
	wantKind(t, err, nebula.ErrInterrupted)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap context.Canceled", err)
	}
	_, err = f.Put(ctx, "x", nebula.NewSecret([]byte("w")), nebula.PutOptions{})
	wantKind(t, err, nebula.ErrInterrupted)
	for _, err := range f.List(ctx, nebula.ListOptions{}) {
		wantKind(t, err, nebula.ErrInterrupted)
	}
	if c := get(t, f.Store, "x"); string(c.Secret.Reveal()) != "v" {
		t.Error("a cancelled put stored")
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = f.Get(late, "x")
	wantKind(t, err, nebula.ErrTimeout)
}

func TestClosedStore(t *testing.T) {
	f := newFixture(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrClosed)
	_, err = nebula.Open(t.Context(), f.provider, nebula.Options{})
	wantKind(t, err, nebula.ErrClosed)
}
