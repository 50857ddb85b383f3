package migrate

import (
	"crypto/aes"
	"crypto/cipher"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/jsonread"
)

// Record is the content of a record of version 1. Its metadata was never
// authenticated, and need not obey the rules of a store: see [Record.Validate].
type Record struct {
	Secret   nebula.Secret
	Metadata nebula.Metadata

	// accessedInYear1 marks the one time that Metadata cannot tell from none.
	accessedInYear1 bool
}

// Validate says why a store does not accept the metadata, in an error of kind
// ErrInvalidMetadata.
func (r Record) Validate() error {
	if r.accessedInYear1 {
		return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "last_accessed is not within the years 1970 to 9999"}
	}
	return r.Metadata.Validate()
}

// Open reads a record of version 1. The caller wipes the secret.
//
// Open refuses a record that is not sound. Otherwise it is as tolerant as the
// writer: it accepts white space, any order, unknown fields, and times in
// several forms. It does not use the salt, if there is one.
//
// Errors: ErrCorrupted; ErrUnsupportedVersion for a record of another version;
// ErrDecryptionFailed if the key is wrong or the record is damaged, which
// version 1 cannot tell apart; ErrUsage for the zero Key.
func Open(data []byte, key Key) (Record, error) {
	if key.secret.Len() != KeySize {
		return Record{}, &nebula.Error{Kind: nebula.ErrUsage, Message: "the version 1 key is not set"}
	}
	f, ok := parse(data)
	if !ok {
		return Record{}, whyUnreadable(data)
	}
	plaintext, err := f.sealed.open(key)
	if err != nil {
		return Record{}, err
	}
	defer clear(plaintext)
	f.record.Secret = nebula.NewSecret(plaintext)
	return f.record, nil
}

// file is a record of version 1, sealed.
type file struct {
	version uint64
	sealed  sealed
	record  Record
}

type sealed struct {
	version    uint64
	nonce      [12]byte
	ciphertext []byte
	tag        [16]byte
}

func parse(data []byte) (*file, bool) {
	r := reader{jsonread.New(data)}
	f := &file{}
	r.fields([]field{
		{name: "version", read: func() { f.version = r.Uint(math.MaxUint32) }},
		{name: "encrypted_data", read: func() { f.sealed.read(r) }},
		{name: "metadata", read: func() { f.record.read(r) }},
		{name: "salt", optional: true, read: func() { r.option(func() { r.bytes() }) }},
	})
	return f, r.Done() && f.version == 1 && f.sealed.version == 1
}

func (s *sealed) read(r reader) {
	r.fields([]field{
		{name: "version", read: func() { s.version = r.Uint(math.MaxUint8) }},
		{name: "nonce", read: func() { r.fixed(s.nonce[:]) }},
		{name: "ciphertext", read: func() { s.ciphertext = r.bytes() }},
		{name: "tag", read: func() { r.fixed(s.tag[:]) }},
	})
}

func (c *Record) read(r reader) {
	m := &c.Metadata
	r.fields([]field{
		{name: "created_at", read: func() { m.CreatedAt = readTime(r) }},
		{name: "last_accessed", optional: true, read: func() {
			r.option(func() {
				m.LastAccessed = readTime(r)
				c.accessedInYear1 = m.LastAccessed.IsZero()
			})
		}},
		{name: "last_modified", read: func() { m.LastModified = readTime(r) }},
		{name: "scope", optional: true, read: func() { r.option(func() { m.Scope = readScope(r) }) }},
		{name: "rotation_policy", optional: true, read: func() {
			r.option(func() {
				r.fields([]field{{name: "interval_days", read: func() {
					m.RotationPolicy.IntervalDays = uint32(r.Uint(math.MaxUint32))
				}}})
			})
		}},
		{name: "tags", read: func() {
			m.Tags = make(map[string]string)
			r.Object(func(key string) { m.Tags[key] = r.Text() }) // the last of two counts
		}},
	})
}

func readTime(r reader) time.Time {
	t, ok := parseTime(r.Text())
	if !ok {
		r.Fail()
	}
	return t
}

// readScope reads a scope, which the writer checks when it reads.
func readScope(r reader) string {
	const maxScope = 512 // bytes
	s := r.Text()
	if s == "" || len(s) > maxScope || s[0] == '/' || s[len(s)-1] == '/' || strings.ContainsFunc(s, notOfScope) {
		r.Fail()
	}
	return s
}

func notOfScope(c rune) bool {
	return !strings.ContainsRune("-_:/", c) && !unicode.IsLetter(c) && !unicode.IsNumber(c) &&
		!unicode.In(c, unicode.Other_Alphabetic, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func (s *sealed) open(key Key) ([]byte, error) {
	block, err := aes.NewCipher(key.secret.Reveal())
	if err != nil {
		return nil, err // only for a key of another length
	}
	// FIPS mode refuses NewGCM even to open. This one takes the nonce as the
	// beginning of the box.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err // only for a block of another length
	}
	box := append(s.nonce[:], s.ciphertext...)
	plaintext, err := aead.Open(nil, nil, append(box, s.tag[:]...), nil)
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrDecryptionFailed, Err: err,
			Message: "the key is wrong, or the record was damaged: version 1 cannot tell the two apart"}
	}
	return plaintext, nil
}

// whyUnreadable tells a record of another version from a damaged one. As in a
// store, it accepts any JSON object, since the layout of other versions is not
// known.
func whyUnreadable(data []byte) error {
	r := reader{jsonread.New(data)}
	var version, inner uint64
	r.fields([]field{
		{name: "version", read: func() { version = r.Uint(math.MaxUint64) }},
		{name: "encrypted_data", read: func() {
			r.fields([]field{{name: "version", read: func() { inner = r.Uint(math.MaxUint64) }}})
		}},
	})
	refused := &nebula.Error{Kind: nebula.ErrUnsupportedVersion, Hint: "it was written by a newer program: use that one"}
	switch {
	case !r.Done() || version == 0 || inner == 0:
	case version > 1:
		refused.Message = "the record is of another file version"
		return refused
	case inner > 2:
		refused.Message = "the record is sealed by a later version"
		return refused
	case inner == 2 && isVersion2(data):
		refused.Message = "the record is sealed by version 2"
		refused.Hint = "it needs no migration: open the store that it is of, and copy it"
		return refused
	}
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the record is damaged, or not of version 1"}
}

// isVersion2 reports whether data is a whole record as stores write them.
func isVersion2(data []byte) bool {
	name, err := nebula.ID("any").Name()
	if err == nil {
		_, err = nebula.ParseEnvelope(name, data)
	}
	return err == nil
}
