package nebula

import (
	"bytes"
	"errors"
	"testing"
)

// addVectors makes the records of a kind the corpus.
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

// checkParsed checks what holds of all bytes: a record is taken only if it is
// its own canonical encoding, and refused as one of two kinds.
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

// FuzzOpen: under a key, only the very records open that were sealed under it.
// The fuzzer changes the bytes, and fields of the record by their meaning.
func FuzzOpen(f *testing.F) {
	var ring *keyring
	authentic := make(map[string]bool)
	addVectors(f, "record", 900, func(v formatVector) {
		if v.Class == "" {
			return // of another data key
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
