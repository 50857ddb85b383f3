package nebula

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/nebula-credential/nebula/internal/seal"
)

// addVectors adds the records of a kind to the corpus.
func addVectors(f *testing.F, kind string, least int, add func(formatVector)) {
	f.Helper()
	count := 0
	for path := range formatFiles() {
		for _, v := range readFormatVectors(f, path) {
			if v.Kind == kind {
				add(v)
				count++
			}
		}
	}
	if count < least {
		f.Fatalf("the corpus has %d records, at least %d are expected", count, least)
	}
}

// checkParsed checks any bytes: they are accepted only if they are a record's own
// canonical encoding, and otherwise refused with one of two kinds.
func checkParsed(t *testing.T, name Name, data []byte) {
	before := bytes.Clone(data)
	e, err := ParseEnvelope(name, data)
	if !bytes.Equal(before, data) {
		t.Fatal("the data was changed")
	}
	if err != nil {
		if kind := KindOf(err); e != nil || kind != ErrCorrupted && kind != ErrUnsupportedVersion {
			t.Fatalf("%q: %v", kind, err)
		}
		return
	}
	if again := e.encode(); !bytes.Equal(again, data) {
		t.Fatalf("%q was read, %q is written", data, again)
	}
	if err := e.Metadata().Validate(); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	if e.slots != nil {
		if again := newSlotList(e.slots.slots); !bytes.Equal(again.raw, e.slots.raw) || again.sum != e.slots.sum {
			t.Fatalf("%q was read, %q is written", e.slots.raw, again.raw)
		}
	}
	if name.IsKeyring() != (e.slots != nil) {
		t.Fatalf("slots in a record, or none in a keyring: %q", data)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	addVectors(f, "record", 900, func(v formatVector) { f.Add(v.Record) })
	f.Fuzz(func(t *testing.T, data []byte) { checkParsed(t, Name{"fuzz"}, data) })
}

func FuzzParseKeyring(f *testing.F) {
	addVectors(f, "keyring", 390, func(v formatVector) { f.Add(v.Record) })
	f.Fuzz(func(t *testing.T, data []byte) { checkParsed(t, KeyringName(), data) })
}

// FuzzOpen: under a key, only the records that were sealed under it open. The fuzzer
// changes the bytes, and single fields of the record.
func FuzzOpen(f *testing.F) {
	var ring *keyring
	authentic := make(map[string]bool)
	addVectors(f, "record", 900, func(v formatVector) {
		if v.Class == "" {
			return // it has another data key
		}
		if v.Expect == "ok" {
			ring = ringWith(v.DataKey)
			authentic[v.ID+" "+string(v.Record)] = true
		}
		f.Add(v.ID, v.Record, "text", uint32(7), 0)
	})
	if len(authentic) < 100 {
		f.Fatalf("only %d records are authentic", len(authentic))
	}
	f.Fuzz(func(t *testing.T, id string, data []byte, text string, number uint32, at int) {
		name := Name{id}
		if name.IsKeyring() {
			return
		}
		refuse := func(data []byte) {
			if _, _, err := openSealed(ring, name, data); err == nil && !authentic[id+" "+string(data)] {
				t.Fatalf("this opens as %q: %q", id, data)
			} else if kind := KindOf(err); err != nil && kind != ErrCorrupted && kind != ErrUnsupportedVersion && kind != ErrWrongKey {
				t.Fatalf("%q: %v", kind, err)
			}
		}
		refuse(data)
		e, err := ParseEnvelope(name, data)
		if err != nil {
			return
		}
		edited := *e
		m := &edited.metadata
		*m = m.clone()
		switch at % 6 {
		case 0:
			m.CreatedBy = text
		case 1:
			m.Scope = text
		case 2:
			m.RotationPolicy.IntervalDays = number
		case 3:
			m.LastModified = m.LastModified.Add(1000)
		case 4:
			if m.Tags == nil {
				m.Tags = make(map[string]string)
			}
			m.Tags[text] = text
		default:
			m.LastAccessed = m.CreatedAt
		}
		refuse(edited.encode())
		if key, err := ring.keyFor(name, e, currentRecord); err == nil {
			if _, err := edited.open(key, name); err == nil && !authentic[id+" "+string(edited.encode())] {
				t.Fatalf("opens with %+v: %q", m, data)
			} else if err != nil && errors.Is(err, ErrUnauthenticated) {
				t.Fatal(err)
			}
		}
	})
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
		for range rapid.IntRange(0, maxSlots).Draw(t, "slots") {
			id := newSlotID()
			ring.slots = append(ring.slots, slotRecord{Slot: Slot{ID: id}})
			if rapid.Bool().Draw(t, "noted") {
				label := rapid.StringMatching(`[ -~é…]{0,64}`).Draw(t, "label")
				ring.note(id, SlotNote{Label: label, AddedAt: drawTime(t, "added")})
			}
		}
		text := ring.appendValue(nil)
		if len(text) > ring.valueSize() {
			t.Fatalf("%d bytes, expected at most %d", len(text), ring.valueSize())
		}
		again := keyring{slots: ring.slots}
		if !again.readValue(text) || !bytes.Equal(again.appendValue(nil), text) {
			t.Fatalf("%s became %s", text, again.appendValue(nil))
		}
	})
}

// aadInput is everything that the additional data must distinguish.
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

// nearMiss changes an input, but keeps the bytes of its fields, one after the other,
// nearly the same: bytes move from one field to the next, and an empty or absent field
// looks like the length of another one.
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
	case 7: // bytes of a tag's key move to its value
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
	case 12: // a tag's value is the hash of the slots
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

// decodedMember is soleMember with encoding/json.
func decodedMember(object []byte, name string) (value json.RawMessage, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for count := 0; ; {
		key, err := d.Token()
		if err != nil || key == json.Delim('}') {
			return value, err == nil && count == 1
		}
		var member json.RawMessage
		if d.Decode(&member) != nil {
			return nil, false
		}
		if key == name {
			value = member
			count++
		}
	}
}

func FuzzSoleMember(f *testing.F) {
	for _, seed := range []string{`{}`, ` {"a":1}`, `{"a":{"a":"\"}"},"\u0061":[1,{}] }`, `["a"]`, `{"b":"a","a" : -1e3 ,"c":null}`, "3"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) || !json.Valid(data) {
			return
		}
		got, ok := soleMember(data, "a")
		want, found := decodedMember(data, "a")
		if ok != found || ok && !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %t, want %q, %t", data, got, ok, want, found)
		}
	})
}
