package nebula

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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

// slotRecord is a slot with the data key wrapped for it.
type slotRecord struct {
	Slot
	wrapped seal.Wrapped
}

// slotList is the list of slots in a keyring's record.
type slotList struct {
	slots  []slotRecord
	raw    []byte   // canonical, from [ to ]
	sum    [32]byte // SHA-256 of raw, always computed
	stored [32]byte // what the record says it is
}

func newSlotList(slots []slotRecord) *slotList {
	raw := []byte{'['}
	for i := range slots {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = appendSlot(raw, &slots[i])
	}
	raw = append(raw, ']')
	return &slotList{slots: slots, raw: raw, sum: sha256.Sum256(raw)}
}

func appendSlot(b []byte, s *slotRecord) []byte {
	b = append(b, `{"id":`...)
	b = canon.AppendString(b, s.ID)
	b = append(b, `,"kind":`...)
	b = canon.AppendString(b, s.Kind)
	b = append(b, `,"salt":`...)
	b = canon.AppendBase64(b, s.Salt[:])
	b = append(b, `,"m":`...)
	b = canon.AppendUint(b, uint64(s.Memory))
	b = append(b, `,"t":`...)
	b = canon.AppendUint(b, uint64(s.Passes))
	b = append(b, `,"p":`...)
	b = canon.AppendUint(b, uint64(s.Lanes))
	if s.Data != nil {
		b = append(b, `,"data":`...)
		b = canon.AppendBase64(b, s.Data)
	}
	b = append(b, `,"commitment":`...)
	b = canon.AppendBase64(b, s.wrapped.Commitment[:])
	b = append(b, `,"nonce":`...)
	b = canon.AppendBase64(b, s.wrapped.Nonce[:])
	b = append(b, `,"wrapped":`...)
	b = canon.AppendBase64(b, s.wrapped.Key[:])
	return append(b, '}')
}

// readSlots reads what newSlotList makes, from data, of which r is the reader.
func readSlots(r *canon.Reader, data []byte) *slotList {
	list := &slotList{}
	start := r.Offset()
	r.Expect(`[`)
	seen := make(map[string]bool)
	for !r.Failed() {
		s := readSlot(r)
		if seen[s.ID] || len(list.slots) == maxSlots {
			r.Fail()
		}
		seen[s.ID] = true
		list.slots = append(list.slots, s)
		if !r.Accept(`,`) {
			break
		}
	}
	r.Expect(`]`)
	list.raw = data[start:r.Offset()]
	list.sum = sha256.Sum256(list.raw)
	return list
}

func readSlot(r *canon.Reader) slotRecord {
	const maxUint32 = 1<<32 - 1
	var s slotRecord
	r.Expect(`{"id":`)
	s.ID = r.String()
	r.Expect(`,"kind":`)
	s.Kind = present(r)
	r.Expect(`,"salt":`)
	r.Fixed(s.Salt[:])
	r.Expect(`,"m":`)
	s.Memory = uint32(r.Uint(maxUint32))
	r.Expect(`,"t":`)
	s.Passes = uint32(r.Uint(maxUint32))
	r.Expect(`,"p":`)
	s.Lanes = uint32(r.Uint(maxUint32))
	if r.Accept(`,"data":`) {
		s.Data = r.Base64([]byte{})
	}
	r.Expect(`,"commitment":`)
	r.Fixed(s.wrapped.Commitment[:])
	r.Expect(`,"nonce":`)
	r.Fixed(s.wrapped.Nonce[:])
	r.Expect(`,"wrapped":`)
	r.Fixed(s.wrapped.Key[:])
	r.Expect(`}`)
	tooLong := utf8.RuneCountInString(s.Kind) > maxSlotKind || len(s.Data) > maxSlotData
	if !isSlotID(s.ID) || tooLong || s.Data != nil && hasNoData(s.Kind) {
		r.Fail()
	}
	return s
}

// hasNoData reports the kinds whose slots are known to hold nothing more.
func hasNoData(kind string) bool {
	return kind == SlotArgon2id || kind == SlotPBKDF2 || kind == SlotKeyFile
}

const slotAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

func newSlotID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	for i := range id {
		id[i] = slotAlphabet[id[i]%32]
	}
	return string(id)
}

func isSlotID(s string) bool {
	for i := range len(s) {
		if !('a' <= s[i] && s[i] <= 'z' || '2' <= s[i] && s[i] <= '7') {
			return false
		}
	}
	return len(s) == 8
}

// check is what can be said of a list before any key is tried: that it was not
// damaged, and that no slot asks for more memory or time than is reasonable.
func (l *slotList) check() error {
	if l.sum != l.stored {
		return damagedKeyring("the list of key slots is damaged", nil)
	}
	for _, s := range l.slots {
		if err := s.seal().Check(); err != nil {
			return damagedKeyring(err.Error(), err)
		}
	}
	return nil
}

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
	openedBy   Slot      // that gave the current key; zero where this process made the key
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
		key, fits := keys[i], false
		for _, s := range slots {
			if !key.Opens(s.Kind) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, Slot{}, err // deriving a secret cannot be stopped
			}
			secret, err := key.Secret(ctx, s.Slot)
			notHere := errors.Is(err, ErrUnauthenticated)
			notInFIPS := errors.Is(err, ErrNotSupported) // Argon2id; other kinds work there
			if notHere || notInFIPS {
				if absent == nil || notInFIPS {
					absent = err
				}
				continue
			}
			if err != nil {
				return nil, Slot{}, err
			}
			fits = true
			dataKey, err := seal.NewKEK(s.seal(), secret).Unwrap(s.seal(), s.wrapped)
			if errors.Is(err, seal.ErrCommitment) {
				continue
			}
			if err != nil {
				return nil, Slot{}, damagedKeyring("slot "+s.ID+" was damaged or edited", err)
			}
			return dataKey, s.Slot, nil
		}
		if p, ok := key.(*Passphrase); ok && fits && p.again() {
			i-- // another passphrase
			continue
		}
		if fits {
			tried = append(tried, key)
		}
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
