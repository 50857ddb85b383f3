package nebula_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// If a backend shows one old authentic state after the other, a few reads end the call.
func TestAlternatingStatesAreReadAFewTimes(t *testing.T) {
	r := newRemote()
	admin, key := r.initialised(t)
	s := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
	var old []nebula.Record
	name, _ := nebula.ID("x").Name()
	for range 2 {
		put(t, admin, "x", "v", nebula.PutOptions{})
		old = append(old, r.records[name])
	}
	if _, err := admin.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	records, keyrings := 0, 0
	r.retrieved = func(n nebula.Name, found *nebula.Record) error {
		if n.IsKeyring() {
			keyrings++
			return nil
		}
		r.clock.advance(2 * time.Minute)
		*found = old[records%2]
		records++
		return nil
	}
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrCorrupted)
	if records > 20 || keyrings > 20 {
		t.Errorf("the record was read %d times, the keyring %d times", records, keyrings)
	}
}

// A record with too many tags is refused, and takes little more memory than its size.
func TestRecordWithMoreTagsThanThereMayBe(t *testing.T) {
	name, _ := nebula.ID("x").Name()
	m := nebula.Metadata{CreatedAt: time.Unix(0, 0), LastModified: time.Unix(0, 0), Tags: map[string]string{"0000000": ""}}
	e, err := nebula.SealRecord([32]byte{1}, name, value("v"), m)
	if err != nil {
		t.Fatal(err)
	}
	var tags strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&tags, `,"%07x":""`, i+1)
	}
	record := bytes.Replace(e.Bytes(), []byte(`"0000000":""`), []byte(`"0000000":""`+tags.String()), 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = nebula.ParseEnvelope(name, record)
	runtime.ReadMemStats(&after)
	wantKind(t, err, nebula.ErrCorrupted)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(4*len(record)) {
		t.Errorf("a record of %d bytes took %d", len(record), took)
	}

	m.Tags = make(map[string]string)
	for i := range nebula.MaxTags {
		m.Tags[fmt.Sprint(i)] = ""
	}
	e, err = nebula.SealRecord([32]byte{1}, name, value("v"), m)
	if err == nil {
		_, err = nebula.ParseEnvelope(name, e.Bytes())
	}
	if err != nil {
		t.Errorf("a record with as many tags as there may be: %v", err)
	}
	m.Tags["more"] = ""
	_, err = nebula.SealRecord([32]byte{1}, name, value("v"), m)
	wantKind(t, err, nebula.ErrInvalidMetadata)
}

// Text that anyone who can write the backend chose is quoted and cut before it is shown.
func TestForeignTextIsQuotedAndCut(t *testing.T) {
	f := newFixture(t)
	hostile := "x y\u202e" + strings.Repeat("z", 50)
	odd := oddKey{slot: nebula.Slot{Kind: hostile}, secret: make([]byte, 32)}
	if _, err := f.AddKey(t.Context(), odd, ""); err != nil {
		t.Fatal(err)
	}
	_, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrUsage)
	_, unknown := f.open(t, nebula.Options{Keys: []nebula.Key{passphrase("a passphrase of no slot")}}).Put(t.Context(), "x", value("v"), nebula.PutOptions{})
	for _, err := range []error{err, unknown, nebula.IfVersion(nebula.Version(hostile)).Check("1"), nebula.IfAbsent().Check(nebula.Version(hostile))} {
		if text := fmt.Sprint(err); strings.Contains(text, "\u202e") || !strings.Contains(text, `"x y\u202e`) || strings.Contains(text, strings.Repeat("z", 50)) {
			t.Errorf("shown without quotes or in full: %s", text)
		}
	}
	odd.slot.Kind = strings.Repeat("k", 65)
	if _, err := f.AddKey(t.Context(), odd, ""); !errors.Is(err, nebula.ErrInternal) {
		t.Errorf("a kind that is too long gave %v", err)
	}
}
