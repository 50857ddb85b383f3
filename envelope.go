package nebula

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// Versions that are written and read. Only migration reads version 1 of the
// sealed data.
const (
	fileVersion = 1
	dataVersion = 2
)

// Envelope is a sealed record: the credential file of docs/format.md, the same
// bytes on every backend. It can be moved between backends without a key. It
// is immutable.
type Envelope struct {
	raw      []byte
	keyID    [seal.KeyIDSize]byte
	sealed   seal.Sealed
	metadata Metadata
	slots    *slotList // of a keyring only
}

// ParseEnvelope reads the record that a backend holds under name. It keeps
// data, which must not be changed afterwards. It does not authenticate the
// record: opening does.
//
// Errors: ErrCorrupted if the bytes are not exactly a record's canonical
// encoding, ErrUnsupportedVersion if they are a record of another version.
// [UnparsedRecord] returns the bytes from either error.
func ParseEnvelope(name Name, data []byte) (*Envelope, error) {
	e := &Envelope{raw: data}
	r := canon.NewReader(data)
	e.read(r, name.IsKeyring())
	if !r.Done() {
		return nil, mark(whyUnreadable(name, data), &unparsedRecord{data})
	}
	if e.slots != nil {
		if err := e.slots.check(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Bytes returns the record, which must not be changed.
func (e *Envelope) Bytes() []byte { return e.raw }

// Metadata returns the record's metadata. Only opening the record authenticates
// it. Its tags must not be changed.
func (e *Envelope) Metadata() Metadata { return e.metadata }

// KeyID returns the id of the data key under which, as the record says, it is
// sealed.
func (e *Envelope) KeyID() KeyID { return KeyID(e.keyID) }

// sealEnvelope seals plaintext for name. Slots are given for the keyring only.
func sealEnvelope(key *seal.Key, name Name, plaintext []byte, m Metadata, slots *slotList) *Envelope {
	e := &Envelope{keyID: key.ID(), metadata: m, slots: slots}
	e.sealed = key.Seal(name.s, plaintext, e.additional(name))
	e.raw = e.encode()
	return e
}

// open returns the plaintext, or seal.ErrCommitment or seal.ErrTag.
func (e *Envelope) open(key *seal.Key, name Name) ([]byte, error) {
	return key.Open(name.s, e.sealed, e.additional(name))
}

// additional returns the additional data of the seal: everything in the record
// that is not the seal itself, and the name.
func (e *Envelope) additional(name Name) []byte {
	m := &e.metadata
	aad := make([]byte, 0, 512)
	aad = append(aad, "nebula/2/aad\x00"...)
	aad = binary.BigEndian.AppendUint32(aad, fileVersion)
	aad = binary.BigEndian.AppendUint32(aad, dataVersion)
	aad = seal.AppendBytes(aad, seal.Algorithm)
	aad = seal.AppendBytes(aad, e.keyID[:])
	aad = seal.AppendBytes(aad, name.s)

	var text [32]byte
	aad = seal.AppendBytes(aad, canon.AppendTime(text[:0], m.CreatedAt))
	aad = seal.AppendBytes(aad, canon.AppendTime(text[:0], m.LastModified))
	if m.LastAccessed.IsZero() {
		aad = append(aad, 0)
	} else {
		aad = seal.AppendOptional(aad, canon.AppendTime(text[:0], m.LastAccessed), true)
	}
	aad = seal.AppendOptional(aad, m.CreatedBy, m.CreatedBy != "")
	aad = seal.AppendOptional(aad, m.Scope, m.Scope != "")
	if days := m.RotationPolicy.IntervalDays; days == 0 {
		aad = append(aad, 0)
	} else {
		aad = binary.BigEndian.AppendUint32(append(aad, 1), days)
	}
	aad = binary.BigEndian.AppendUint32(aad, uint32(len(m.Tags)))
	for _, key := range sortedKeys(m.Tags) {
		aad = seal.AppendBytes(aad, key)
		aad = seal.AppendBytes(aad, m.Tags[key])
	}
	if e.slots != nil {
		aad = seal.AppendBytes(aad, e.slots.sum[:])
	}
	return aad
}

// encode returns the canonical encoding.
func (e *Envelope) encode() []byte {
	box := e.sealed.Box
	nonce, rest := box[:seal.NonceSize], box[seal.NonceSize:]
	ciphertext, tag := rest[:len(rest)-seal.TagSize], rest[len(rest)-seal.TagSize:]

	b := make([]byte, 0, 512+len(box)*4/3)
	b = append(b, `{"version":1,"encrypted_data":{"version":2,"key_id":`...)
	b = canon.AppendBase64(b, e.keyID[:])
	b = append(b, `,"commitment":`...)
	b = canon.AppendBase64(b, e.sealed.Commitment[:])
	b = append(b, `,"nonce":`...)
	b = canon.AppendBase64(b, nonce)
	b = append(b, `,"ciphertext":`...)
	b = canon.AppendBase64(b, ciphertext)
	b = append(b, `,"tag":`...)
	b = canon.AppendBase64(b, tag)
	if e.slots != nil {
		b = append(b, `,"slots":`...)
		b = append(b, e.slots.raw...)
		b = append(b, `,"slots_sha256":`...)
		b = canon.AppendBase64(b, e.slots.sum[:])
	}
	b = append(b, `},"metadata":`...)
	b = appendMetadata(b, &e.metadata)
	b = append(b, `,"salt":`...)
	b = canon.AppendBase64(b, e.sealed.Salt[:])
	return append(b, '}')
}

// read is the mirror of encode.
func (e *Envelope) read(r *canon.Reader, keyring bool) {
	r.Expect(`{"version":1,"encrypted_data":{"version":2,"key_id":`)
	r.Fixed(e.keyID[:])
	r.Expect(`,"commitment":`)
	r.Fixed(e.sealed.Commitment[:])
	r.Expect(`,"nonce":`)
	var nonce [seal.NonceSize]byte
	r.Fixed(nonce[:])
	r.Expect(`,"ciphertext":`)
	box := append(make([]byte, 0, len(e.raw)), nonce[:]...)
	box = r.Base64(box)
	r.Expect(`,"tag":`)
	var tag [seal.TagSize]byte
	r.Fixed(tag[:])
	e.sealed.Box = append(box, tag[:]...)
	if keyring {
		r.Expect(`,"slots":`)
		e.slots = readSlots(r, e.raw)
		r.Expect(`,"slots_sha256":`)
		r.Fixed(e.slots.stored[:])
	}
	r.Expect(`},"metadata":`)
	e.metadata = readMetadata(r)
	if m := &e.metadata; keyring && (!m.LastAccessed.IsZero() || m.CreatedBy != "" || m.Scope != "" ||
		m.RotationPolicy.IntervalDays != 0 || len(m.Tags) != 0) {
		r.Fail()
	}
	r.Expect(`,"salt":`)
	r.Fixed(e.sealed.Salt[:])
	r.Expect(`}`)
}

func appendMetadata(b []byte, m *Metadata) []byte {
	b = append(b, `{"created_at":"`...)
	b = canon.AppendTime(b, m.CreatedAt)
	b = append(b, `","last_modified":"`...)
	b = canon.AppendTime(b, m.LastModified)
	b = append(b, '"')
	if !m.LastAccessed.IsZero() {
		b = append(b, `,"last_accessed":"`...)
		b = canon.AppendTime(b, m.LastAccessed)
		b = append(b, '"')
	}
	if m.CreatedBy != "" {
		b = append(b, `,"created_by":`...)
		b = canon.AppendString(b, m.CreatedBy)
	}
	if m.Scope != "" {
		b = append(b, `,"scope":`...)
		b = canon.AppendString(b, m.Scope)
	}
	if days := m.RotationPolicy.IntervalDays; days != 0 {
		b = append(b, `,"rotation_policy":{"interval_days":`...)
		b = canon.AppendUint(b, uint64(days))
		b = append(b, '}')
	}
	b = append(b, `,"tags":{`...)
	for i, key := range sortedKeys(m.Tags) {
		if i > 0 {
			b = append(b, ',')
		}
		b = canon.AppendString(b, key)
		b = append(b, ':')
		b = canon.AppendString(b, m.Tags[key])
	}
	return append(b, '}', '}')
}

func readMetadata(r *canon.Reader) Metadata {
	var m Metadata
	r.Expect(`{"created_at":`)
	m.CreatedAt = r.Time()
	r.Expect(`,"last_modified":`)
	m.LastModified = r.Time()
	if r.Accept(`,"last_accessed":`) {
		m.LastAccessed = r.Time()
	}
	if r.Accept(`,"created_by":`) {
		m.CreatedBy = present(r)
	}
	if r.Accept(`,"scope":`) {
		m.Scope = present(r)
	}
	if r.Accept(`,"rotation_policy":{"interval_days":`) {
		m.RotationPolicy.IntervalDays = uint32(r.Uint(1<<32 - 1))
		r.Expect(`}`)
		if m.RotationPolicy.IntervalDays == 0 {
			r.Fail()
		}
	}
	r.Expect(`,"tags":`)
	m.Tags = readTags(r)
	r.Expect(`}`)
	return m
}

func readTags(r *canon.Reader) map[string]string {
	r.Expect(`{`)
	if r.Accept(`}`) {
		return nil
	}
	tags := make(map[string]string)
	for previous := ""; ; {
		key := r.String()
		r.Expect(`:`)
		value := r.String()
		// Keys ascend, so none occurs twice. The empty key is invalid anyway.
		if r.Failed() || key <= previous || invalidTag(key, value) != "" || len(tags) == MaxTags {
			r.Fail()
			return nil
		}
		tags[key], previous = value, key
		if !r.Accept(`,`) {
			r.Expect(`}`)
			return tags
		}
	}
}

// present reads a string that would be left out if it were empty.
func present(r *canon.Reader) string {
	s := r.String()
	if s == "" {
		r.Fail()
	}
	return s
}

func sortedKeys(tags map[string]string) []string {
	if len(tags) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(tags))
}

// SealRecord seals a value under a data key, for tests of providers and for
// tools that make records outside a store. Applications use [Store.Put].
//
// Errors: ErrInvalidMetadata; ErrUsage for the keyring's name.
func SealRecord(dataKey [32]byte, name Name, value Secret, m Metadata) (*Envelope, error) {
	if _, err := name.ID().Name(); err != nil {
		return nil, &Error{Kind: ErrUsage, Message: "only credentials are sealed with SealRecord"}
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return sealEnvelope(seal.NewKey(dataKey), name, value.Reveal(), m.clone(), nil), nil
}

func tooLarge(size, limit int, provider string) error {
	return &Error{Kind: ErrTooLarge, Provider: provider,
		Message: fmt.Sprintf("the record has %d bytes, %d is the limit of %s", size, limit, provider),
		Hint:    "a record is about 4/3 of its value and 500 bytes"}
}
