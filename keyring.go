package nebula

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// Limits of a keyring. A slot's kind is counted in characters, its data in bytes.
const (
	maxSlots      = 16
	maxSlotKind   = 64
	maxSlotData   = 8192
	maxRetired    = 64
	maxGeneration = 1<<53 - 1
)

func damagedKeyring(message string, cause error) error {
	return &Error{Kind: ErrCorrupted, Message: "the keyring: " + message, Err: cause,
		Hint: "restore the keyring from a backup; without it no credential of this store can be read"}
}

// keyring is an opened keyring. It is immutable.
type keyring struct {
	version    Version // of its record
	raw        []byte  // its record
	createdAt  time.Time
	slots      []slotRecord
	current    *seal.Key
	retired    []*seal.Key // newest first
	generation uint64
	rotating   bool
	switchedAt time.Time // while rotating
	openedBy   Slot      // that gave the current key; zero if this process made the key
}

// openKeyring opens the keyring's record with the first of the keys that fits
// a slot. The order of checks, and so of errors, is that of docs/format.md.
func openKeyring(ctx context.Context, record Record, keys []Key) (*keyring, error) {
	e := record.Envelope
	current, openedBy, err := unwrap(ctx, e.slots.slots, keys)
	if err != nil {
		return nil, err
	}
	if current.ID() != e.keyID {
		return nil, damagedKeyring("it names another data key than its slots hold", nil)
	}
	plaintext, err := e.open(current, KeyringName())
	if err != nil {
		return nil, damagedKeyring("it was damaged or edited", err)
	}
	defer clear(plaintext)
	k := &keyring{
		version:   record.Version,
		raw:       e.raw,
		createdAt: e.metadata.CreatedAt,
		slots:     e.slots.slots,
		current:   current,
		openedBy:  openedBy,
	}
	if !k.readValue(plaintext) {
		return nil, damagedKeyring("its sealed value is not valid", nil)
	}
	return k, nil
}

// unwrap returns the data key, and the first slot that one of the keys opens.
func unwrap(ctx context.Context, slots []slotRecord, keys []Key) (*seal.Key, Slot, error) {
	var tried []Key
	var absent error
	for i := 0; i < len(keys); i++ {
		t := keyTrial{key: keys[i], absent: absent}
		dataKey, slot, err := t.run(ctx, slots)
		if err != nil || dataKey != nil {
			return dataKey, slot, err
		}
		absent = t.absent
		if t.closed == nil {
			continue
		}
		if p, ok := t.key.(*Passphrase); ok && p.again(t.closed) {
			i-- // another passphrase
			continue
		}
		tried = append(tried, t.key)
	}
	if tried != nil {
		message := describeKeys(tried) + " opens no slot of this store's keyring"
		if errors.Is(absent, ErrNotSupported) {
			message += ", of which those of Argon2id cannot be tried in FIPS mode"
		}
		return nil, Slot{}, &Error{Kind: ErrWrongKey, Message: message,
			Hint: "look at the slots with: nebula key list"}
	}
	if absent != nil {
		return nil, Slot{}, absent
	}
	return nil, Slot{}, &Error{Kind: ErrUnauthenticated, Message: "no key is at hand for this store, whose slots are " + kinds(slots)}
}

// keyTrial is a key that is tried on the slots.
type keyTrial struct {
	key    Key
	closed []Slot // that it was tried on and does not open
	absent error  // why it, or one before it, is not at hand
}

// run returns the data key from the first slot that the key opens, or nil.
func (t *keyTrial) run(ctx context.Context, slots []slotRecord) (*seal.Key, Slot, error) {
	for _, s := range slots {
		if !t.key.Opens(s.Kind) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, Slot{}, err // deriving a secret cannot be stopped
		}
		secret, err := t.key.Secret(ctx, s.Slot)
		notInFIPS := errors.Is(err, ErrNotSupported) // Argon2id; other kinds work there
		if errors.Is(err, ErrUnauthenticated) || notInFIPS {
			if t.absent == nil || notInFIPS {
				t.absent = err
			}
			continue
		}
		if err != nil {
			return nil, Slot{}, err
		}
		dataKey, err := seal.NewKEK(s.seal(), secret).Unwrap(s.seal(), s.wrapped)
		switch {
		case err == nil:
			return dataKey, s.Slot, nil
		case !errors.Is(err, seal.ErrCommitment):
			return nil, Slot{}, damagedKeyring("slot "+s.ID+" was damaged or edited", err)
		}
		t.closed = append(t.closed, s.Slot)
	}
	return nil, Slot{}, nil
}

// describeKeys names keys that were of no use.
func describeKeys(keys []Key) string {
	var names []string
	for _, key := range keys {
		name := "a key"
		if s, ok := key.(fmt.Stringer); ok {
			name = s.String()
		}
		names = append(names, name)
	}
	return strings.Join(names, ", and ")
}

func kinds(slots []slotRecord) string {
	text := ""
	for i, s := range slots {
		if i > 0 {
			text += ", "
		}
		text += shown(s.Kind)
	}
	return text
}

// seal returns the keyring's record, of the generation that k has.
func (k *keyring) seal(now time.Time) *Envelope {
	// Of the right size at once: no copies are left behind while it grows.
	value := k.appendValue(make([]byte, 0, 128+48*len(k.retired)))
	defer clear(value)
	m := Metadata{CreatedAt: k.createdAt, LastModified: now}
	return sealEnvelope(k.current, KeyringName(), value, m, newSlotList(k.slots))
}

func (k *keyring) appendValue(b []byte) []byte {
	b = append(b, `{"generation":`...)
	b = canon.AppendUint(b, k.generation)
	if k.rotating {
		b = append(b, `,"state":"rotating","switched_at":"`...)
		b = canon.AppendTime(b, k.switchedAt)
		b = append(b, '"')
	} else {
		b = append(b, `,"state":"steady"`...)
	}
	b = append(b, `,"retired":[`...)
	for i, key := range k.retired {
		if i > 0 {
			b = append(b, ',')
		}
		secret := key.Secret()
		b = canon.AppendBase64(b, secret[:])
	}
	return append(b, ']', '}')
}

func (k *keyring) readValue(plaintext []byte) bool {
	r := canon.NewReader(plaintext)
	r.Expect(`{"generation":`)
	k.generation = r.Uint(maxGeneration)
	if k.rotating = r.Accept(`,"state":"rotating","switched_at":`); k.rotating {
		k.switchedAt = r.Time()
	} else {
		r.Expect(`,"state":"steady"`)
	}
	r.Expect(`,"retired":[`)
	for !r.Accept(`]`) && !r.Failed() {
		if len(k.retired) > 0 {
			r.Expect(`,`)
		}
		var secret [seal.KeySize]byte
		r.Fixed(secret[:])
		k.retired = append(k.retired, seal.NewKey(secret))
		if len(k.retired) > maxRetired {
			r.Fail()
		}
	}
	r.Expect(`}`)
	return r.Done() && k.generation > 0 && (!k.rotating || len(k.retired) > 0)
}

// wrapFor makes a slot for key that holds the keyring's data key.
func (k *keyring) wrapFor(ctx context.Context, key Key) (slotRecord, error) {
	if len(k.slots) == maxSlots {
		return slotRecord{}, &Error{Kind: ErrUsage, Message: fmt.Sprintf("the keyring has %d slots, the most there can be", maxSlots),
			Hint: "remove one first: nebula key remove SLOT"}
	}
	var salt [seal.SaltSize]byte
	_, _ = rand.Read(salt[:]) // never fails
	slot, err := key.NewSlot(ctx, salt)
	if err != nil {
		return slotRecord{}, err
	}
	for slot.ID = newSlotID(); k.hasSlot(slot.ID); {
		slot.ID = newSlotID()
	}
	secret, err := key.Secret(ctx, slot)
	if err != nil {
		return slotRecord{}, err
	}
	if len(secret) != seal.KeySize {
		return slotRecord{}, &Error{Kind: ErrInternal, Message: fmt.Sprintf("a key of kind %s gave a secret of %d bytes, not %d",
			slot.Kind, len(secret), seal.KeySize)}
	}
	return slotRecord{slot, seal.NewKEK(slot.seal(), secret).Wrap(slot.seal(), k.current)}, nil
}

// without returns the slots but those of the given ids.
func (k *keyring) without(ids []string) ([]slotRecord, error) {
	for _, id := range ids {
		if !k.hasSlot(id) {
			return nil, &Error{Kind: ErrNotFound, Message: "the keyring has no slot " + quoteID(id),
				Hint: "they are shown by: nebula key list"}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(k.slots), func(s slotRecord) bool { return slices.Contains(ids, s.ID) })
	if len(rest) == 0 {
		return nil, &Error{Kind: ErrUsage, Message: "the last slot cannot be removed: nothing would open the store",
			Hint: "add another one first: nebula key add"}
	}
	return rest, nil
}

// continues reports whether k is a later state of the same store as before: it
// holds the key of that, or it was opened by one of the slots of that. Whoever
// does not know the secret of such a slot cannot wrap another key for it; its
// key may have been destroyed, and is then no longer there.
func (k *keyring) continues(before *keyring) bool {
	if k.keyByID(KeyID(before.current.ID())) != nil {
		return true
	}
	by := k.openedBy
	return hasNoData(by.Kind) && slices.ContainsFunc(before.slots, func(s slotRecord) bool {
		return s.ID == by.ID && s.Kind == by.Kind && s.Salt == by.Salt
	})
}

func (k *keyring) hasSlot(id string) bool {
	for _, s := range k.slots {
		if s.ID == id {
			return true
		}
	}
	return false
}
