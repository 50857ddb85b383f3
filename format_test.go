package nebula

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

// formatVector is a line of testdata/format, see docs/format.md.
type formatVector struct {
	Name, Class, Kind, Expect string

	ID        string
	DataKey   hexBytes `json:"data_key"`
	KeyID     hexBytes `json:"key_id"`
	Plaintext hexBytes
	Metadata  *formatMetadata
	Record    []byte `json:"record_b64"`

	KeyFile     *string `json:"key_file"`
	Key         hexBytes
	Passphrase  *string
	SlotSecret  hexBytes            `json:"slot_secret"`
	Identity    string              // of age; see unlock/recipient
	SealedValue *formatKeyringValue `json:"sealed_value"`
}

type formatMetadata struct {
	CreatedAt    string `json:"created_at"`
	LastModified string `json:"last_modified"`
	LastAccessed string `json:"last_accessed"`
	CreatedBy    string `json:"created_by"`
	Scope        string
	Rotation     struct {
		Days uint32 `json:"interval_days"`
	} `json:"rotation_policy"`
	Tags map[string]string
}

type formatKeyringValue struct {
	Generation uint64
	State      string
	SwitchedAt string `json:"switched_at"`
	Retired    []string
	Notes      map[string]struct {
		Label   string
		AddedAt string `json:"added_at"`
	}
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (v formatVector) title() string {
	return strings.ReplaceAll(v.Kind+" "+v.Class+" "+v.Name, "/", "∕")
}

// formatFiles are the files of vectors, with the least number of lines.
func formatFiles() map[string]int {
	return map[string]int{"testdata/format/vectors.jsonl": 1500, "testdata/format/other/vectors.jsonl": 52}
}

func readFormatVectors(t testing.TB, path string) []formatVector {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var vectors []formatVector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var v formatVector
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s, line %d: %v", path, len(vectors)+1, err)
		}
		vectors = append(vectors, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestFormatVectors(t *testing.T) {
	for path, least := range formatFiles() {
		vectors := readFormatVectors(t, path)
		if len(vectors) < least {
			t.Errorf("%s has %d vectors, at least %d are expected", path, len(vectors), least)
		}
		for _, v := range vectors {
			t.Run(v.title(), func(t *testing.T) {
				t.Parallel()
				switch v.Kind {
				case "record":
					checkRecordVector(t, v)
				case "keyring":
					checkKeyringVector(t, v)
				case "key file":
					checkKeyFileVector(t, v)
				default:
					t.Errorf("unknown kind %q", v.Kind)
				}
			})
		}
	}
}

// There are vectors for every class of failure. If some are lost, this test fails.
func TestFormatVectorsHaveEveryClass(t *testing.T) {
	type class struct{ kind, class, expect string }
	count := make(map[class]int)
	for _, v := range readFormatVectors(t, "testdata/format/vectors.jsonl") {
		count[class{v.Kind, v.Class, v.Expect}]++
	}
	for want, least := range map[class]int{
		{"record", "size", "ok"}: 8, {"record", "id", "ok"}: 15, {"record", "optional", "ok"}: 32, {"record", "rotation", "ok"}: 5,
		{"record", "time", "ok"}: 20, {"record", "string", "ok"}: 20, {"record", "tags", "ok"}: 15,
		{"record", "key", "wrong_key"}: 4, {"record", "key", "corrupted"}: 5, {"record", "swap", "corrupted"}: 10,
		{"record", "flip", "corrupted"}: 20, {"record", "metadata", "corrupted"}: 25, {"record", "member", "corrupted"}: 120,
		{"record", "space", "corrupted"}: 40, {"record", "tail", "corrupted"}: 9, {"record", "truncated", "corrupted"}: 10,
		{"record", "base64", "corrupted"}: 90, {"record", "length", "corrupted"}: 10, {"record", "time", "corrupted"}: 100,
		{"record", "string", "corrupted"}: 60, {"record", "tags", "corrupted"}: 35, {"record", "integer", "corrupted"}: 60,
		{"record", "version", "unsupported_version"}: 30, {"record", "first pass", "corrupted"}: 50,
		{"keyring", "keyring kind", "ok"}: 8, {"keyring", "keyring slots", "ok"}: 2, {"keyring", "keyring unknown", "ok"}: 9,
		{"keyring", "keyring value", "ok"}: 5, {"keyring", "passphrase", "ok"}: 7, {"keyring", "keyring bounds", "ok"}: 10,
		{"keyring", "keyring wrong_key", "wrong_key"}: 7, {"keyring", "keyring unauthenticated", "unauthenticated"}: 6,
		{"keyring", "keyring key", "corrupted"}: 9, {"keyring", "keyring slots", "corrupted"}: 100, {"keyring", "keyring bounds", "corrupted"}: 70,
		{"keyring", "keyring edit", "corrupted"}: 30, {"keyring", "keyring edit", "wrong_key"}: 9, {"keyring", "keyring edit", "unauthenticated"}: 1,
		{"keyring", "keyring metadata", "corrupted"}: 13, {"keyring", "keyring form", "corrupted"}: 10, {"keyring", "keyring value", "corrupted"}: 50,
		{"keyring", "keyring version", "unsupported_version"}: 4, {"keyring", "keyring version", "corrupted"}: 1,
		{"key file", "key file", "ok"}: 5, {"key file", "key file", "invalid_config"}: 40,
	} {
		if count[want] < least {
			t.Errorf("%d vectors of %v, at least %d are expected", count[want], want, least)
		}
	}
}

// openSealed reads and opens a record like a Store that holds the keyring.
func openSealed(ring *keyring, name Name, record []byte) (*Envelope, []byte, error) {
	e, err := ParseEnvelope(name, record)
	if err != nil {
		return nil, nil, err
	}
	key, err := ring.keyFor(name, e, currentRecord)
	if err != nil {
		return e, nil, err
	}
	plaintext, err := e.open(key, name)
	if err != nil {
		return e, nil, &Error{Kind: ErrCorrupted, Err: err}
	}
	return e, plaintext, nil
}

func ringWith(dataKey []byte) *keyring {
	return &keyring{current: seal.NewKey([seal.KeySize]byte(dataKey)), generation: 1}
}

func wantKind(t *testing.T, err error, want string) bool {
	t.Helper()
	got := string(KindOf(err))
	if err == nil {
		got = "ok"
	}
	if got != want {
		t.Errorf("%s, want %s: %v", got, want, err)
	}
	return got == want && err == nil
}

func checkRecordVector(t *testing.T, v formatVector) {
	name, err := ID(v.ID).Name()
	if err != nil {
		t.Fatal(err)
	}
	ring := ringWith(v.DataKey)
	if id := ring.current.ID(); !bytes.Equal(id[:], v.KeyID) {
		t.Errorf("the key's id is %x, want %x", id, v.KeyID)
	}
	e, plaintext, err := openSealed(ring, name, v.Record)
	if !wantKind(t, err, v.Expect) {
		return
	}
	if !bytes.Equal(plaintext, v.Plaintext) {
		t.Errorf("plaintext %x, want %x", plaintext, v.Plaintext)
	}
	m := v.Metadata.metadata(t)
	if !m.equal(e.Metadata()) {
		t.Errorf("metadata %+v, want %+v", e.Metadata(), m)
	}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	if again := e.encode(); !bytes.Equal(again, v.Record) {
		t.Errorf("encoded again: %s, want %s", again, v.Record)
	}
	if again := sealWith(v.DataKey, name, plaintext, m, nil, e.sealed); again != nil && !bytes.Equal(again, v.Record) {
		t.Errorf("sealed again: %s, want %s", again, v.Record)
	}
	fresh := sealEnvelope(ring.current, name, plaintext, m, nil)
	if _, reopened, err := openSealed(ring, name, fresh.Bytes()); err != nil || !bytes.Equal(reopened, plaintext) {
		t.Errorf("sealed afresh, it opens as %x, %v", reopened, err)
	}
}

// sealWith seals with the salt and nonce of another seal. It uses the package's own
// additional data and encoding, and does the rest by hand. In FIPS mode, which forbids
// a given nonce, it returns nil.
func sealWith(dataKey []byte, name Name, plaintext []byte, m Metadata, slots *slotList, like seal.Sealed) []byte {
	if fips140.Enforced() {
		return nil
	}
	info := "nebula/2/record\x00" + string(like.Salt[:]) + string(binary.BigEndian.AppendUint16(nil, uint16(len(name.s)))) + name.s
	okm, err := hkdf.Expand(sha256.New, dataKey, info, 64)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(okm[:32])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	e := &Envelope{keyID: seal.NewKey([seal.KeySize]byte(dataKey)).ID(), metadata: m, slots: slots}
	e.sealed.Salt = like.Salt
	e.sealed.Commitment = [seal.CommitmentSize]byte(okm[32:])
	nonce := like.Box[:seal.NonceSize:seal.NonceSize]
	e.sealed.Box = append(nonce, aead.Seal(nil, nonce, plaintext, e.additional(name))...)
	return e.encode()
}

func (f formatMetadata) metadata(t *testing.T) Metadata {
	parse := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	return Metadata{CreatedAt: parse(f.CreatedAt), LastModified: parse(f.LastModified), LastAccessed: parse(f.LastAccessed),
		CreatedBy: f.CreatedBy, Scope: f.Scope, RotationPolicy: RotationPolicy{f.Rotation.Days}, Tags: f.Tags}
}

func (m Metadata) equal(n Metadata) bool {
	return m.CreatedAt.Equal(n.CreatedAt) && m.LastModified.Equal(n.LastModified) && m.LastAccessed.Equal(n.LastAccessed) &&
		m.CreatedBy == n.CreatedBy && m.Scope == n.Scope && m.RotationPolicy == n.RotationPolicy &&
		len(m.Tags) == len(n.Tags) && (Filter{Tags: m.Tags}).Matches("", n)
}

// keyText is a Key from the text of a key file.
type keyText string

func (keyText) Opens(kind string) bool { return kind == SlotKeyFile }

func (k keyText) Secret(context.Context, Slot) ([]byte, error) {
	secret, err := seal.ParseKeyFile([]byte(k))
	return secret[:], err
}

func (k keyText) NewSlot(ctx context.Context, id string, salt [seal.SaltSize]byte) (Slot, []byte, error) {
	slot := Slot{ID: id, Kind: SlotKeyFile, Salt: salt}
	secret, err := k.Secret(ctx, slot)
	return slot, secret, err
}

// keptSecret is the secret that a service returns for every kind of slot whose secret
// it keeps.
type keptSecret []byte

func (keptSecret) Opens(kind string) bool { return slotdata.Known(kind) }

func (k keptSecret) Secret(context.Context, Slot) ([]byte, error) { return k, nil }

func (keptSecret) NewSlot(context.Context, string, [seal.SaltSize]byte) (Slot, []byte, error) {
	return Slot{}, nil, &Error{Kind: ErrNotSupported}
}

func (v formatVector) keys() []Key {
	var keys []Key
	if v.KeyFile != nil {
		keys = append(keys, keyText(*v.KeyFile))
	}
	if v.SlotSecret != nil {
		keys = append(keys, keptSecret(v.SlotSecret))
	}
	if v.Passphrase != nil {
		keys = append(keys, &Passphrase{Source: func(context.Context) ([]byte, error) { return []byte(*v.Passphrase), nil }})
	}
	return keys
}

func openRing(ctx context.Context, record []byte, keys []Key) (*Envelope, *keyring, error) {
	e, err := ParseEnvelope(KeyringName(), record)
	if err != nil {
		return nil, nil, err
	}
	ring, err := openKeyring(ctx, Record{Envelope: e}, keys)
	return e, ring, err
}

func checkKeyringVector(t *testing.T, v formatVector) {
	e, ring, err := openRing(t.Context(), v.Record, v.keys())
	if fips140.Enforced() && bytes.Contains(v.Record, []byte(`"kind":"argon2id"`)) && KindOf(err) != ErrCorrupted {
		t.Skip("Argon2id in FIPS mode")
	}
	if !wantKind(t, err, v.Expect) {
		return
	}
	if secret := ring.current.Secret(); !bytes.Equal(secret[:], v.DataKey) {
		t.Errorf("data key %x, want %x", secret, v.DataKey)
	}
	if again := e.encode(); !bytes.Equal(again, v.Record) {
		t.Errorf("encoded again: %s, want %s", again, v.Record)
	}
	slots := newSlotList(ring.slots)
	value := ring.appendValue(nil)
	if again := sealWith(v.DataKey, KeyringName(), value, e.Metadata(), slots, e.sealed); again != nil && !bytes.Equal(again, v.Record) {
		t.Errorf("sealed again: %s, want %s", again, v.Record)
	}
	want, got := v.SealedValue, formatKeyringValue{Generation: ring.generation, State: "steady"}
	if ring.rotating {
		got.State, got.SwitchedAt = "rotating", ring.switchedAt.Format(time.RFC3339Nano)
	}
	if got.Generation != want.Generation || got.State != want.State || got.SwitchedAt != want.SwitchedAt || len(ring.retired) != len(want.Retired) {
		t.Fatalf("sealed value %+v and %d keys, want %+v", got, len(ring.retired), *want)
	}
	if len(ring.notes) != len(want.Notes) {
		t.Errorf("the notes are %v, want %v", ring.notes, want.Notes)
	}
	for id, note := range ring.notes {
		if w := want.Notes[id]; note.Label != w.Label || note.AddedAt.Format(time.RFC3339Nano) != w.AddedAt {
			t.Errorf("the note of slot %s is %v, want %v", id, note, w)
		}
	}
	for i, key := range ring.retired {
		if secret := key.Secret(); base64.StdEncoding.EncodeToString(secret[:]) != want.Retired[i] {
			t.Errorf("retired key %d is %x, want %s", i, secret, want.Retired[i])
		}
	}
}

func checkKeyFileVector(t *testing.T, v formatVector) {
	secret, err := seal.ParseKeyFile([]byte(*v.KeyFile))
	if (err == nil) != (v.Expect == "ok") {
		t.Fatalf("%v, want %s", err, v.Expect)
	}
	if err == nil && !bytes.Equal(secret[:], v.Key) {
		t.Errorf("key %x, want %x", secret, v.Key)
	}
	if err == nil && strings.TrimRight(string(seal.FormatKeyFile(secret)), "\n") != strings.TrimRight(*v.KeyFile, "\r\n") {
		t.Error("formatted again, the text differs")
	}
}
