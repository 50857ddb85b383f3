package nebula

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nebula-credential/nebula/internal/seal"
)

// vectorNamed returns one of our own vectors.
func vectorNamed(t testing.TB, kind, class, name string) formatVector {
	t.Helper()
	for _, v := range readFormatVectors(t, "testdata/format/vectors.jsonl") {
		if v.Kind == kind && v.Class == class && v.Name == name {
			return v
		}
	}
	t.Fatalf("there is no vector %s: %s: %s", kind, class, name)
	return formatVector{}
}

// versionDigits are where the two versions stand in a readable record.
func versionDigits(record []byte) []int {
	file := bytes.Index(record, []byte(`"version":1`)) + len(`"version":`)
	return []int{file, bytes.Index(record, []byte(`"version":2`)) + len(`"version":`)}
}

// checkEveryBit flips each bit of a record. Whatever becomes of it, it never
// opens, and it is corrupted but where a version became another one. A wrong
// key is never blamed: the id and the commitment are not changed at once.
func checkEveryBit(t *testing.T, record []byte, open func([]byte) error) {
	t.Helper()
	if err := open(record); err != nil {
		t.Fatal(err)
	}
	versions := versionDigits(record)
	count := make(map[Kind]int)
	for at := range record {
		for bit := range 8 {
			flipped := bytes.Clone(record)
			flipped[at] ^= 1 << bit
			kind := KindOf(open(flipped))
			count[kind]++
			want := ErrCorrupted
			if c := flipped[at]; slices.Contains(versions, at) && '1' <= c && c <= '9' {
				want = ErrUnsupportedVersion
			}
			if kind != want {
				t.Errorf("byte %d, bit %d: %q, want %q: %s", at, bit, kind, want, flipped)
			}
		}
	}
	if count[ErrCorrupted] < 8*len(record)-8 || count[ErrUnsupportedVersion] < 4 {
		t.Errorf("kinds: %v", count)
	}
}

func TestFormatEveryBitOfARecord(t *testing.T) {
	for _, c := range []struct{ class, name string }{
		{"optional", "with last_accessed created_by scope rotation_policy tags"}, {"optional", "with none"}, {"size", "0 bytes"},
		{"size", "255 bytes"}, {"tags", "quotes and backslashes"}, {"tags", "emoji"}, {"string", `text "\u2028\u2029"`},
		{"time", "time 9999-12-31T23:59:59.999999999Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := vectorNamed(t, "record", c.class, c.name)
			name, ring := Name{v.ID}, ringWith(v.DataKey)
			checkEveryBit(t, v.Record, func(record []byte) error {
				_, _, err := openSealed(ring, name, record)
				return err
			})
		})
	}
}

// In a keyring a wrong key is never blamed for one bit either: each bit of the
// slots is in the hash of their list, which is compared first.
func TestFormatEveryBitOfAKeyring(t *testing.T) {
	for _, c := range []struct{ class, name string }{
		{"keyring kind", "key file"}, {"keyring unknown", "a kind that is not known, with data"}, {"keyring value", "rotating"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := vectorNamed(t, "keyring", c.class, c.name)
			checkEveryBit(t, v.Record, func(record []byte) error {
				_, _, err := openRing(t.Context(), record, v.keys())
				return err
			})
		})
	}
}

// Bytes that are changed, cut off or put in never give a record that opens.
func TestFormatEveryByteOfARecord(t *testing.T) {
	v := vectorNamed(t, "record", "optional", "with last_accessed created_by scope rotation_policy tags")
	name, ring := Name{v.ID}, ringWith(v.DataKey)
	refused := func(record []byte) {
		if _, _, err := openSealed(ring, name, record); !errors.Is(err, ErrCorrupted) && !errors.Is(err, ErrUnsupportedVersion) {
			t.Errorf("%v: %s", err, record)
		}
	}
	for at := range v.Record {
		refused(v.Record[:at])
		refused(slices.Delete(bytes.Clone(v.Record), at, at+1))
		for _, c := range []byte("\x00 \t\n\"\\,:{}[]019ZzA=-\xc2\xa0") {
			refused(slices.Insert(bytes.Clone(v.Record), at, c))
			if v.Record[at] != c {
				changed := bytes.Clone(v.Record)
				changed[at] = c
				refused(changed)
			}
		}
	}
}

func drawText(t *rapid.T, label string, least, most int) string {
	r := rapid.OneOf(rapid.RuneFrom([]rune("ab\"\\=-/<&\u00a0\u2028\u00e9\u0301\uff5e\U0001f600\U0010ffff")), rapid.Rune())
	r = r.Filter(func(r rune) bool { return invalidText(string(r)) == "" })
	return rapid.StringOfN(r, least, most, -1).Draw(t, label)
}

func drawTime(t *rapid.T, label string) time.Time {
	seconds := rapid.Int64Range(0, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()).Draw(t, label)
	step := rapid.SampledFrom([]int64{1e9, 1e6, 1e3, 1}).Draw(t, label+" step")
	ns := rapid.Int64Range(0, 1e9/step-1).Draw(t, label+" fraction") * step
	return time.Unix(seconds, ns).UTC()
}

func drawTags(t *rapid.T) map[string]string {
	tags := make(map[string]string)
	for i := range rapid.IntRange(0, 5).Draw(t, "tags") {
		key := drawText(t, fmt.Sprint("key ", i), 1, MaxTagKeyLength)
		if value := drawText(t, fmt.Sprint("value ", i), 0, MaxTagValueLength); invalidTag(key, value) == "" {
			tags[key] = value
		}
	}
	return tags
}

func drawMetadata(t *rapid.T) Metadata {
	m := Metadata{CreatedAt: drawTime(t, "created"), LastModified: drawTime(t, "modified"), Tags: drawTags(t)}
	if rapid.Bool().Draw(t, "has accessed") {
		m.LastAccessed = drawTime(t, "accessed")
	}
	m.CreatedBy, m.Scope = drawText(t, "by", 0, 20), drawText(t, "scope", 0, 20)
	m.RotationPolicy.IntervalDays = rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 1<<32 - 1}), rapid.Uint32()).Draw(t, "days")
	return m
}

func drawName(t *rapid.T) Name {
	return Name{rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9_-]{0,127}`).Draw(t, "name")}
}

func TestFormatEncodingIsCanonical(t *testing.T) {
	key := seal.NewKey([seal.KeySize]byte{1})
	rapid.Check(t, func(t *rapid.T) {
		name, m := drawName(t), drawMetadata(t)
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "plaintext")
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		sealed := sealEnvelope(key, name, plaintext, m, nil)
		e, opened, err := openSealed(&keyring{current: key}, name, sealed.Bytes())
		if err != nil || !bytes.Equal(opened, plaintext) || !m.equal(e.Metadata()) {
			t.Fatalf("%x, %+v, %v of %s", opened, e.Metadata(), err, sealed.Bytes())
		}
		if again := e.encode(); !bytes.Equal(again, sealed.Bytes()) {
			t.Fatalf("%s became %s", sealed.Bytes(), again)
		}
	})
}

func TestFormatSealedValueIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ring := keyring{generation: rapid.Uint64Range(1, maxGeneration).Draw(t, "generation"), rotating: rapid.Bool().Draw(t, "rotating")}
		least := 0
		if ring.rotating {
			ring.switchedAt, least = drawTime(t, "switched"), 1
		}
		for i := range rapid.IntRange(least, maxRetired).Draw(t, "retired") {
			ring.retired = append(ring.retired, seal.NewKey([seal.KeySize]byte{byte(i)}))
		}
		text := ring.appendValue(nil)
		var again keyring
		if !again.readValue(text) || !bytes.Equal(again.appendValue(nil), text) {
			t.Fatalf("%s became %s", text, again.appendValue(nil))
		}
	})
}

// aadInput is what the additional data must tell apart.
type aadInput struct {
	name  string
	keyID byte
	m     Metadata
	slots string // "" for none
}

func (in aadInput) bytes() []byte {
	e := &Envelope{keyID: [seal.KeyIDSize]byte{in.keyID}, metadata: in.m}
	if in.slots != "" {
		e.slots = &slotList{}
		copy(e.slots.sum[:], in.slots)
	}
	return e.additional(Name{in.name})
}

func (in aadInput) equal(other aadInput) bool {
	return in.name == other.name && in.keyID == other.keyID && in.m.equal(other.m) && in.slots == other.slots
}

// nearMiss changes an input so that the bytes of its fields, one after the
// other, stay as alike as can be: bytes move between neighbours, and what is
// empty or absent looks like the length of something else.
func nearMiss(t *rapid.T, in aadInput) aadInput {
	in.m = in.m.clone()
	m := &in.m
	if m.Tags == nil {
		m.Tags = make(map[string]string)
	}
	cut := func(s string) (string, string) {
		at := rapid.IntRange(0, len(s)).Draw(t, "cut")
		return s[:at], s[at:]
	}
	keys := slices.Sorted(maps.Keys(m.Tags))
	switch rapid.IntRange(0, 13).Draw(t, "change") {
	case 0:
		var moved string
		m.CreatedBy, moved = cut(m.CreatedBy)
		m.Scope = moved + m.Scope
	case 1:
		m.CreatedBy, m.Scope = m.Scope, m.CreatedBy
	case 2:
		in.name += "2026"
	case 3:
		var moved string
		in.name, moved = cut(in.name)
		m.CreatedBy = moved + m.CreatedBy
	case 4:
		m.CreatedAt, m.LastModified = m.LastModified, m.CreatedAt
	case 5:
		m.LastAccessed, m.LastModified = m.LastModified, m.CreatedAt
	case 6:
		m.LastAccessed = time.Time{}
	case 7: // a byte of a key becomes one of its value
		if len(keys) > 0 {
			head, tail := cut(keys[0])
			value := m.Tags[keys[0]]
			delete(m.Tags, keys[0])
			m.Tags[head] = tail + value
		}
	case 8: // two tags become one whose value holds the other
		if len(keys) > 1 {
			m.Tags[keys[0]] += "\x00\x00\x00" + string(rune(len(keys[1]))) + keys[1] + m.Tags[keys[1]]
			delete(m.Tags, keys[1])
		}
	case 9:
		if len(keys) > 1 {
			m.Tags[keys[0]], m.Tags[keys[1]] = m.Tags[keys[1]], m.Tags[keys[0]]
		}
	case 10:
		m.RotationPolicy.IntervalDays = uint32(len(m.Tags))
	case 11:
		delete(m.Tags, "a")
		m.Tags["\x00"] = ""
	case 12: // the hash of the slots stands where a tag's value could
		m.Tags["slots"], in.slots = fmt.Sprintf("%-32s", in.slots), ""
	case 13:
		in.slots = strings.Repeat("\x00", 31) + "s"
	}
	return in
}

func TestFormatAdditionalDataTellsAllApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := aadInput{name: drawName(t).s, keyID: rapid.Byte().Draw(t, "key id"), m: drawMetadata(t)}
		if rapid.Bool().Draw(t, "keyring") {
			a.slots = strings.Repeat("s", 32)
		}
		b := a
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			b = nearMiss(t, b)
		}
		if rapid.IntRange(0, 9).Draw(t, "another") == 0 {
			b = aadInput{name: drawName(t).s, keyID: a.keyID, m: drawMetadata(t)}
		}
		if a.equal(b) != bytes.Equal(a.bytes(), b.bytes()) {
			t.Fatalf("%+v and %+v: %x and %x", a, b, a.bytes(), b.bytes())
		}
	})
}

// What is bound is told apart by another seal's error: an id's record under
// each other id, with the base64 of every field exchanged with its twin's.
func TestFormatFieldsOfTwinsDoNotMix(t *testing.T) {
	key := seal.NewKey([seal.KeySize]byte{7})
	ring, name := &keyring{current: key}, Name{"twin"}
	m := Metadata{CreatedAt: time.Unix(0, 0), LastModified: time.Unix(0, 0)}
	a, b := sealEnvelope(key, name, []byte("one"), m, nil), sealEnvelope(key, name, []byte("two"), m, nil)
	encode := base64.StdEncoding.EncodeToString
	for field, texts := range map[string][2]string{
		"salt":       {encode(a.sealed.Salt[:]), encode(b.sealed.Salt[:])},
		"commitment": {encode(a.sealed.Commitment[:]), encode(b.sealed.Commitment[:])},
		"nonce":      {encode(a.sealed.Box[:12]), encode(b.sealed.Box[:12])},
		"ciphertext": {encode(a.sealed.Box[12:15]), encode(b.sealed.Box[12:15])},
		"tag":        {encode(a.sealed.Box[15:]), encode(b.sealed.Box[15:])},
	} {
		mixed := bytes.Replace(a.Bytes(), []byte(texts[0]), []byte(texts[1]), 1)
		if _, _, err := openSealed(ring, name, mixed); bytes.Equal(mixed, a.Bytes()) || !errors.Is(err, ErrCorrupted) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// unsupportedKind is a passphrase where one kind of slot is not available, as
// Argon2id in FIPS mode.
type unsupportedKind struct {
	Key
	kind string
}

func (k unsupportedKind) Secret(ctx context.Context, s Slot) ([]byte, error) {
	if s.Kind == k.kind {
		return nil, &Error{Kind: ErrNotSupported}
	}
	return k.Key.Secret(ctx, s)
}

// A store to which a slot for FIPS mode was added opens there, although the
// older slot is refused. Where it is the only one, its refusal is the error.
func TestFormatSlotsThatAreNotSupportedAreSkipped(t *testing.T) {
	v := vectorNamed(t, "keyring", "keyring kind", "both at hand")
	e, err := ParseEnvelope(KeyringName(), v.Record)
	if err != nil {
		t.Fatal(err)
	}
	file, password := v.keys()[0], v.keys()[1]
	wrapped, err := newWrapping(t, SlotPBKDF2, password)
	if err != nil {
		t.Fatal(err)
	}
	argon := e.slots.slots[1]
	fips := unsupportedKind{password, SlotArgon2id}
	if _, err := unwrap(t.Context(), []slotRecord{argon, wrapped}, []Key{fips}); err != nil {
		t.Errorf("with a slot that works: %v", err)
	}
	if _, err := unwrap(t.Context(), e.slots.slots, []Key{fips, file}); err != nil {
		t.Errorf("with another key: %v", err)
	}
	_, err = unwrap(t.Context(), []slotRecord{argon}, []Key{fips})
	wantKind(t, err, "not_supported")
	wrapped.wrapped.Commitment[0] ^= 1
	_, err = unwrap(t.Context(), []slotRecord{argon, wrapped}, []Key{fips})
	wantKind(t, err, "wrong_key")
}

func newWrapping(t *testing.T, kind string, key Key) (slotRecord, error) {
	slot := Slot{ID: "pppp2222", Kind: kind, Passes: 600_000}
	secret, err := key.Secret(t.Context(), slot)
	if err != nil {
		return slotRecord{}, err
	}
	return slotRecord{slot, seal.NewKEK(slot.seal(), secret).Wrap(slot.seal(), seal.GenerateKey())}, nil
}
