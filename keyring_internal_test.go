package nebula

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// A keyring is a later state of the same store only if it still has the earlier data
// key, or if an earlier slot opened it, with the same id, kind and salt.
func TestWhatContinuesAStore(t *testing.T) {
	slot := Slot{ID: "abcdefgh", Kind: SlotKeyFile, Salt: newSalt()}
	before := &keyring{current: seal.GenerateKey(), slots: []slotRecord{{Slot: slot}}}
	for name, c := range map[string]struct {
		change func(*Slot)
		want   bool
	}{
		"the same slot": {func(*Slot) {}, true},
		"another id":    {func(s *Slot) { s.ID = "abcdefgi" }, false},
		"another kind":  {func(s *Slot) { s.Kind = SlotKeychain }, false},
		"another salt":  {func(s *Slot) { s.Salt[0]++ }, false},
		"no slot":       {func(s *Slot) { *s = Slot{} }, false},
	} {
		by := slot
		c.change(&by)
		after := &keyring{current: seal.GenerateKey(), openedBy: by}
		if got := after.continues(before); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		after.retired = []*seal.Key{seal.GenerateKey(), before.current}
		if !after.continues(before) {
			t.Errorf("%s, with the earlier data key: it does not continue the store", name)
		}
	}
	public := Slot{ID: "abcdefgh", Kind: "recipient", Salt: newSalt()}
	before.slots = append(before.slots, slotRecord{Slot: public})
	if (&keyring{current: seal.GenerateKey(), openedBy: public}).continues(before) {
		t.Error("a slot that anyone can make is enough to continue a store")
	}
}

// wrap refuses any slot other than the one that was asked for.
func TestWrapRefusesAnotherSlot(t *testing.T) {
	want := Slot{ID: "abcdefgh", Kind: SlotKeyFile, Salt: newSalt()}
	secret, key := make([]byte, seal.KeySize), seal.GenerateKey()
	if _, err := wrap(want, want, secret, key); err != nil {
		t.Fatal(err)
	}
	id, kind, salt := want, want, want
	id.ID, kind.Kind, salt.Salt = "abcdefgi", SlotArgon2id, newSalt()
	for name, c := range map[string]struct {
		slot   Slot
		secret []byte
	}{
		"another id":    {id, secret},
		"another kind":  {kind, secret},
		"another salt":  {salt, secret},
		"no secret":     {want, nil},
		"a short one":   {want, secret[1:]},
		"one too large": {want, append(secret, 0)},
	} {
		if s, err := wrap(want, c.slot, c.secret, key); !errors.Is(err, ErrInternal) || s.wrapped != (seal.Wrapped{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// answers is a key with an answer for each slot.
type answers struct {
	Key
	errs map[string]error // by slot
}

func (answers) Opens(string) bool { return true }
func (k answers) Secret(_ context.Context, s Slot) ([]byte, error) {
	return make([]byte, 32), k.errs[s.ID]
}

// The error if no key opens a slot.
func TestWhyNothingOpens(t *testing.T) {
	slots := []slotRecord{{Slot: Slot{ID: "aaaaaaaa", Kind: SlotVaultTransit}}, {Slot: Slot{ID: "bbbbbbbb", Kind: SlotVaultTransit}}}
	wrong := &Error{Kind: ErrWrongKey, Hint: "look at its project"}
	absent := &Error{Kind: ErrUnauthenticated, Message: "log in"}
	for name, c := range map[string]struct {
		keys []Key
		kind Kind
		hint string
	}{
		"of other slots":                        {[]Key{answers{}}, ErrWrongKey, "look at the slots with: nebula key list"},
		"refused, and why":                      {[]Key{answers{errs: map[string]error{"aaaaaaaa": wrong, "bbbbbbbb": &Error{Kind: ErrWrongKey, Hint: "another"}}}}, ErrWrongKey, "look at its project"},
		"of one slot, and for one not at hand":  {[]Key{answers{errs: map[string]error{"aaaaaaaa": wrong, "bbbbbbbb": absent}}}, ErrUnauthenticated, ""},
		"for one not at hand, and of the other": {[]Key{answers{errs: map[string]error{"aaaaaaaa": absent}}}, ErrUnauthenticated, ""},
		"one that is not at hand, and another":  {[]Key{answers{errs: map[string]error{"aaaaaaaa": absent, "bbbbbbbb": absent}}, answers{}}, ErrWrongKey, "look at the slots with: nebula key list"},
		"none":                                  {nil, ErrUnauthenticated, ""},
	} {
		_, _, err := unwrap(t.Context(), slots, c.keys)
		if KindOf(err) != c.kind || hintOf(err) != c.hint {
			t.Errorf("%s: %v, hint %q", name, err, hintOf(err))
		}
	}
}

// If one key opens nothing and another cannot be tried here, the error names both,
// and leaves out the hint, which would be lost among the others.
func TestKeyThatCannotBeTriedIsTold(t *testing.T) {
	slots := []slotRecord{{Slot: Slot{ID: "aaaaaaaa", Kind: SlotVaultTransit}}}
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{&Error{Kind: ErrNotSupported, Message: "not in FIPS mode", Hint: "use another kind"}, "a key opens no slot of this store's keyring, of which some cannot be tried here: not in FIPS mode"},
		{&Error{Kind: ErrNotSupported}, "a key opens no slot of this store's keyring, of which some cannot be tried here: not supported"},
	} {
		_, _, err := unwrap(t.Context(), slots, []Key{answers{errs: map[string]error{"aaaaaaaa": c.err}}, answers{}})
		if KindOf(err) != ErrWrongKey || messageOf(err) != c.want {
			t.Errorf("%q", messageOf(err))
		}
	}
	_, _, err := unwrap(t.Context(), append(slots, slotRecord{Slot: Slot{ID: "bbbbbbbb", Kind: SlotKeyFile}}), nil)
	if want := "no key is at hand for this store, whose slots are vault-transit, key-file"; messageOf(err) != want {
		t.Errorf("%q", messageOf(err))
	}
	if got := messageOf(errors.New("of another library")); got != "of another library" {
		t.Errorf("%q", got)
	}
}

// The largest possible value fits its buffer. A buffer that grows would leave copies of
// the keys in memory.
func TestKeyringsValueFitsItsRoom(t *testing.T) {
	k := &keyring{generation: maxGeneration, rotating: true, switchedAt: time.Unix(0, 1000)}
	for range maxRetired {
		k.retired = append(k.retired, seal.GenerateKey())
	}
	for range maxSlots {
		k.note(newSlotID(), SlotNote{Label: strings.Repeat(`"`, MaxLabelLength), AddedAt: time.Unix(0, 1000)})
	}
	for range maxRetired + 1 {
		if size, got := k.valueSize(), len(k.appendValue(nil)); got > size {
			t.Errorf("%d keys, %d notes: %d bytes in room for %d", len(k.retired), len(k.notes), got, size)
		}
		k.retired = k.retired[:max(0, len(k.retired)-1)]
	}
	k.notes = nil
	if size, got := k.valueSize(), len(k.appendValue(nil)); got > size {
		t.Errorf("with nothing: %d bytes in room for %d", got, size)
	}
}

// A wait that is cancelled says so.
func TestSleepIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

// paced is a failure that says how long to wait before the next try.
type paced struct{ error }

func (paced) After() time.Duration { return time.Hour }

// A lost race is tried again up to a limit, and only while the caller waits.
func TestAttempts(t *testing.T) {
	race := errors.New("a race")
	a := &attempts{max: 3, maxWait: time.Nanosecond}
	for i, want := range []error{nil, nil, race} {
		if err := a.next(t.Context(), race); err != want {
			t.Errorf("after try %d: %v", i+1, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{race, paced{race}} {
		a := &attempts{made: 20, max: 100, maxWait: time.Hour}
		if err := a.next(cancelled, err); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}

// leaving is a key whose caller leaves while it is asked.
type leaving struct {
	answers
	asked  int
	cancel func()
}

func (k *leaving) Secret(context.Context, Slot) ([]byte, error) {
	k.asked++
	k.cancel()
	return nil, &Error{Kind: ErrWrongKey}
}

// After the caller has left, no further slot is opened.
func TestNoSlotIsOpenedForNobody(t *testing.T) {
	slots := []slotRecord{{Slot: Slot{ID: "aaaaaaaa", Kind: SlotVaultTransit}}, {Slot: Slot{ID: "bbbbbbbb", Kind: SlotVaultTransit}}}
	ctx, cancel := context.WithCancel(t.Context())
	key := &leaving{cancel: cancel}
	if _, _, err := unwrap(ctx, slots, []Key{key, key}); KindOf(err) != ErrWrongKey || key.asked != 1 {
		t.Errorf("%v; asked %d times", err, key.asked)
	}
	if _, _, err := unwrap(ctx, slots, []Key{key}); !errors.Is(err, context.Canceled) || key.asked != 1 {
		t.Errorf("%v; asked %d times", err, key.asked)
	}
}
