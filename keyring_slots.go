package nebula

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
	"github.com/nebula-credential/nebula/internal/slotdata"
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

// hasNoData reports the kinds whose slots are known to have no data.
func hasNoData(kind string) bool {
	return kind == SlotArgon2id || kind == SlotPBKDF2 || kind == SlotKeyFile
}

// anyoneCanMake reports the kinds of slots that can be made without a secret.
// Such a slot does not show who made the keyring.
func anyoneCanMake(kind string) bool { return !hasNoData(kind) && kind != SlotKeychain }

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

// check makes the checks that need no key: the list is not damaged, and no slot
// asks for too much memory or time.
func (l *slotList) check() error {
	if l.sum != l.stored {
		return damagedKeyring("the list of key slots is damaged", nil)
	}
	for _, s := range l.slots {
		if err := s.check(); err != nil {
			return damagedKeyring(err.Error(), err)
		}
	}
	return nil
}

func (s Slot) check() error {
	if err := s.seal().Check(); err != nil || !slotdata.Known(s.Kind) {
		return err
	}
	if s.Memory != 0 || s.Passes != 0 || s.Lanes != 0 {
		return fmt.Errorf("parameters of a slot of kind %s are not zero", s.Kind)
	}
	return slotdata.Check(s.Kind, s.ID, s.Data)
}
