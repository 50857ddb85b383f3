package nebula

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// vectorNamed returns the vector of that kind, class and name.
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

// versionDigits returns the positions of the two versions in a readable record.
func versionDigits(record []byte) []int {
	file := bytes.Index(record, []byte(`"version":1`)) + len(`"version":`)
	return []int{file, bytes.Index(record, []byte(`"version":2`)) + len(`"version":`)}
}

// checkEveryBit flips each bit of a record. The result never opens. It is corrupted,
// unless the bit made another version. A wrong key is never blamed, because one bit
// cannot change both the id and the commitment.
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

// For one bit of a keyring, too, a wrong key is never blamed: the hash of the list of
// slots covers each bit of them, and is compared first.
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

// A record with bytes changed, cut off or inserted never opens.
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

// One field of a record is replaced by the same field of another record, with the
// same id and under the same key. The mixture never opens.
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

// unsupportedKind is a passphrase for which one kind of slot is not available, like
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

// A store with a slot for FIPS mode opens there, although the older slot is refused.
// If the older slot is the only one, the error is its refusal.
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
	if _, _, err := unwrap(t.Context(), []slotRecord{argon, wrapped}, []Key{fips}); err != nil {
		t.Errorf("with a slot that works: %v", err)
	}
	if _, _, err := unwrap(t.Context(), e.slots.slots, []Key{fips, file}); err != nil {
		t.Errorf("with another key: %v", err)
	}
	_, _, err = unwrap(t.Context(), []slotRecord{argon}, []Key{fips})
	wantKind(t, err, "not_supported")
	wrapped.wrapped.Commitment[0] ^= 1
	_, _, err = unwrap(t.Context(), []slotRecord{argon, wrapped}, []Key{fips})
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

// Hostile parameters are refused before they cost memory or time, and before a
// person is asked for a passphrase.
func TestFormatHostileParameters(t *testing.T) {
	const most = 1 << 20 // bytes; the least that Argon2id may take is 19 MiB
	checked := 0
	for path := range formatFiles() {
		for _, v := range readFormatVectors(t, path) {
			if v.Kind != "keyring" || v.Expect != "corrupted" || v.Class != "keyring bounds" && !strings.HasPrefix(v.Name, "hostile") {
				continue
			}
			checked++
			asked := &Passphrase{Source: func(context.Context) ([]byte, error) {
				t.Errorf("%s: the passphrase was asked for", v.Name)
				return []byte("passphrase"), nil
			}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := openRing(t.Context(), v.Record, []Key{asked})
			runtime.ReadMemStats(&after)
			wantKind(t, err, "corrupted")
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%s: %d bytes were allocated, %d at most", v.Name, used, most)
			}
		}
	}
	if checked < 70 {
		t.Errorf("only %d vectors were checked", checked)
	}
}
