package migrate_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

const (
	ok          = nebula.Kind("")
	corrupted   = nebula.ErrCorrupted
	unsupported = nebula.ErrUnsupportedVersion
	notOpened   = nebula.ErrDecryptionFailed
)

// plain is a record without white space, which tests edit.
const plain = `{"version":1,"encrypted_data":{"version":1,"nonce":NONCE,"ciphertext":CIPHER,"tag":TAG},` +
	`"metadata":{"created_at":"2024-05-06T07:08:09Z","last_accessed":null,"last_modified":"2024-06-07T08:09:10Z",` +
	`"scope":null,"rotation_policy":null,"tags":{}}}`

// edited returns a record of "value" in which new replaces old, once.
func edited(t *testing.T, old, new string) []byte {
	t.Helper()
	if strings.Count(plain, old) < 1 {
		t.Fatalf("there is no %s", old)
	}
	sealed := newV1(testKey, []byte("value")).EncryptedData
	text := strings.Replace(plain, old, new, 1)
	for name, n := range map[string][]int{"NONCE": sealed.Nonce, "CIPHER": sealed.Ciphertext, "TAG": sealed.Tag} {
		b, _ := json.Marshal(n)
		whole := string(b)
		text = strings.NewReplacer(name+"[1:]", "["+whole[strings.Index(whole, ",")+1:],
			name+"+1", whole[:len(whole)-1]+",1]", name, whole).Replace(text)
	}
	return []byte(text)
}

// TestTolerance: Open accepts what the writer's parser accepts. Each case was tried on
// serde_json and chrono.
func TestTolerance(t *testing.T) {
	const tags, closing = `"tags":{}`, `"tags":{}}}`
	for _, c := range []struct {
		old, new string
		want     nebula.Kind
	}{
		// Versions.
		{`"version":1,"enc`, `"version":2,"enc`, unsupported},
		{`"version":1,"enc`, `"version":0,"enc`, corrupted},
		{`"version":1,"enc`, `"version":1.0,"enc`, corrupted},
		{`"version":1,"enc`, `"version":"1","enc`, corrupted},
		{`"version":1,"enc`, `"version":1,"version":1,"enc`, corrupted},
		{`"version":1,"enc`, `"enc`, corrupted},
		{`"version":1,"nonce"`, `"version":2,"nonce"`, corrupted},
		{`"version":1,"nonce"`, `"version":3,"nonce"`, unsupported},
		{`"version":1,"nonce"`, `"version":0,"nonce"`, corrupted},
		{`"version":1,"nonce"`, `"version":01,"nonce"`, corrupted},
		{`"version":1,"nonce"`, `"version":-1,"nonce"`, corrupted},
		// Numbers.
		{"NONCE", "NONCE[1:]", corrupted},
		{"NONCE", "NONCE+1", corrupted},
		{"TAG", "TAG[1:]", corrupted},
		{"TAG", "TAG+1", corrupted},
		{"CIPHER", "CIPHER+1", notOpened},
		{"CIPHER", "[]", notOpened},
		{"CIPHER", "[256]", corrupted},
		{"CIPHER", "[-1]", corrupted},
		{"CIPHER", "[1.0]", corrupted},
		{"CIPHER", "[1e1]", corrupted},
		{"CIPHER", "[1,]", corrupted},
		{"CIPHER", `"dmFsdWU="`, corrupted},
		{"CIPHER", "null", corrupted},
		// Structure.
		{`"scope":null,`, ``, ok},
		{`"last_accessed":null,`, ``, ok},
		{`"rotation_policy":null,`, ``, ok},
		{`,"tags":{}`, ``, corrupted},
		{closing, closing[:len(closing)-1] + `,"salt":null}`, ok},
		{closing, closing[:len(closing)-1] + `,"salt":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}`, ok},
		{closing, closing[:len(closing)-1] + `,"salt":"x"}`, corrupted},
		{closing, closing + " \t\r\n", ok},
		{closing, closing + "}", corrupted},
		{closing, closing + "\x00", corrupted},
		{closing, closing[:len(closing)-1], corrupted},
		{tags, tags + `,"more":[{"a":[1,-2.5e+3,"\ud800",true,false,null]},{}]`, ok},
		{tags, tags + `,"more":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000), ok},
		{tags, tags + `,"more":[1,]`, corrupted},
		{tags, tags + `,"more":01`, corrupted},
		{tags, tags + `,"more":1,"more":2`, ok},
		{tags, tags + `,"tags":{}`, corrupted},
		{tags, tags + `,"Tags":7`, ok},
		{`{"version":1,"enc`, "\ufeff" + `{"version":1,"enc`, corrupted},
		{`,"metadata"`, " , \n\"metadata\"", ok},
		{`"tags"`, `"\u0074ags"`, ok},
		// Texts.
		{tags, `"tags":{"a":"\u00e9\ud83d\ude00"}`, ok},
		{tags, `"tags":{"a":"\ud83d"}`, corrupted},
		{tags, `"tags":{"a":"\ude00\ud83d"}`, corrupted},
		{tags, "\"tags\":{\"a\":\"\xff\"}", corrupted},
		{tags, "\"tags\":{\"a\":\"\n\"}", corrupted},
		{tags, `"tags":{"a":null}`, corrupted},
		{tags, `"tags":{"a":"1","a":"2"}`, ok},
		{tags, `"tags":[]`, corrupted},
		{`"scope":null`, `"scope":"org:ключ/a-b_c"`, ok},
		{`"scope":null`, `"scope":""`, corrupted},
		{`"scope":null`, `"scope":"/a"`, corrupted},
		{`"scope":null`, `"scope":"a b"`, corrupted},
		// Rotation.
		{`"rotation_policy":null`, `"rotation_policy":{"interval_days":90,"x":1}`, ok},
		{`"rotation_policy":null`, `"rotation_policy":[90]`, ok},
		{`"rotation_policy":null`, `"rotation_policy":{"interval_days":4294967295}`, ok},
		{`"rotation_policy":null`, `"rotation_policy":{"interval_days":4294967296}`, corrupted},
		{`"rotation_policy":null`, `"rotation_policy":{}`, corrupted},
		{`"rotation_policy":null`, `"rotation_policy":{"interval_days":null}`, corrupted},
		{`"last_accessed":null`, `"last_accessed":"2024"`, corrupted},
		{`"created_at":"2024-05-06T07:08:09Z"`, `"created_at":null`, corrupted},
	} {
		got, err := migrate.Open(edited(t, c.old, c.new), migrate.NewKey(testKey))
		if nebula.KindOf(err) != c.want {
			t.Errorf("%q for %s: %v, want %q", c.new[:min(60, len(c.new))], c.old, err, c.want)
		}
		if err == nil && string(got.Secret.Reveal()) != "value" {
			t.Errorf("%s for %s: got another value", c.new, c.old)
		}
	}
}

// TestArrays: an object of known fields may be an array, as in the writer's parser.
func TestArrays(t *testing.T) {
	whole := string(edited(t, `"tags"`, `"tags"`))
	between := func(from, to string) string {
		_, rest, _ := strings.Cut(whole, from)
		part, _, _ := strings.Cut(rest, to)
		return part
	}
	sealed := "[1," + between(`"nonce":`, `,"cipher`) + "," + between(`"ciphertext":`, `,"tag`) + "," + between(`"tag":`, "},") + "]"
	const meta = `["2024-05-06T07:08:09Z",null,"2024-05-06T07:08:09Z",null,null,{"a":"b"}]`
	got, err := migrate.Open([]byte("[1,"+sealed+","+meta+",null]"), migrate.NewKey(testKey))
	if err != nil || string(got.Secret.Reveal()) != "value" || got.Metadata.Tags["a"] != "b" {
		t.Errorf("%v, %v", got.Metadata, err)
	}
	for _, bad := range []string{"[1," + sealed + "," + meta + "]", "[1," + sealed + "," + meta + ",null,1]", "[]", "[", ""} {
		if _, err := migrate.Open([]byte(bad), migrate.NewKey(testKey)); nebula.KindOf(err) != corrupted {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTimes(t *testing.T) {
	at := func(year, month, day, hour, minute, second, ns int) time.Time {
		return time.Date(year, time.Month(month), day, hour, minute, second, ns, time.UTC)
	}
	for text, want := range map[string]time.Time{
		"2024-05-06T07:08:09Z":            at(2024, 5, 6, 7, 8, 9, 0),
		"2024-05-06t07:08:09z":            at(2024, 5, 6, 7, 8, 9, 0),
		"2024-05-06 07:08:09 UTC":         at(2024, 5, 6, 7, 8, 9, 0),
		"2024-05-06T07:08:09.1Z":          at(2024, 5, 6, 7, 8, 9, 100000000),
		"2024-05-06T07:08:09.1234567899Z": at(2024, 5, 6, 7, 8, 9, 123456789),
		"2024-05-06T09:08:09+02:00":       at(2024, 5, 6, 7, 8, 9, 0),
		"2024-05-06T00:08:09-0230":        at(2024, 5, 6, 2, 38, 9, 0),
		"2024-05-06T00:08:09\u221202:30":  at(2024, 5, 6, 2, 38, 9, 0),
		"2024-12-31T23:59:60.5Z":          at(2025, 1, 1, 0, 0, 0, 500000000),
		" 2024 - 5 - 6 7 : 8 : 9 +02 00 ": at(2024, 5, 6, 5, 8, 9, 0),
		"+10000-01-01T00:00:00Z":          at(10000, 1, 1, 0, 0, 0, 0),
		"-0004-02-29T00:00:00Z":           at(-4, 2, 29, 0, 0, 0, 0),
	} {
		got, err := migrate.Open(edited(t, "2024-05-06T07:08:09Z", text), migrate.NewKey(testKey))
		if err != nil || got.Metadata.CreatedAt != want {
			t.Errorf("%s: %v, %v", text, got.Metadata.CreatedAt, err)
		}
	}
	for _, bad := range []string{"", "2024", "2024-05-06", "2024-05-06T07:08Z", "2024-05-06T07:08:09", "2024-02-30T00:00:00Z",
		"2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-05-06T24:00:00Z",
		"2024-05-06T07:60:00Z", "2024-05-06T07:08:61Z", "2024-05-06T07:08:09.Z", "2024-05-06T07:08:09,5Z",
		"2024-05-06T07:08:09+24:00", "2024-05-06T07:08:09+02:60", "2024-05-06T07:08:09+02", "2024-05-06T07:08:09ZZ",
		"10000-01-01T00:00:00Z", "+300000-01-01T00:00:00Z", "+99999999999999999999-01-01T00:00:00Z", "2024-05-06T07:08:09 GMT",
		"+262142-12-31T23:59:59-00:01"} {
		if _, err := migrate.Open(edited(t, "2024-05-06T07:08:09Z", bad), migrate.NewKey(testKey)); nebula.KindOf(err) != corrupted {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestKeysAndDamage: a record with a changed byte does not open, nor does another key
// open it.
func TestKeysAndDamage(t *testing.T) {
	r := newV1(testKey, []byte("value"))
	if _, err := migrate.Open(r.text(), migrate.NewKey([32]byte{9})); nebula.KindOf(err) != notOpened {
		t.Errorf("another key: %v", err)
	}
	for _, n := range [][]int{r.EncryptedData.Nonce, r.EncryptedData.Ciphertext, r.EncryptedData.Tag} {
		for i := range n {
			n[i] ^= 1
			if _, err := migrate.Open(r.text(), migrate.NewKey(testKey)); nebula.KindOf(err) != notOpened {
				t.Errorf("byte %d changed: %v", i, err)
			}
			n[i] ^= 1
		}
	}
	text := r.text()
	for i := range text {
		if _, err := migrate.Open(text[:i], migrate.NewKey(testKey)); nebula.KindOf(err) != corrupted {
			t.Fatalf("the first %d bytes: %v", i, err)
		}
	}
	if got, err := migrate.Open(bytes.Clone(text), migrate.NewKey(testKey)); err != nil || got.Validate() != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// TestVersion2: a record of version 2 does not count as damaged.
func TestVersion2(t *testing.T) {
	name, _ := nebula.ID("x").Name()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord(testKey, name, nebula.NewSecret(nil), nebula.Metadata{CreatedAt: now, LastModified: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrate.Open(e.Bytes(), migrate.NewKey(testKey)); nebula.KindOf(err) != unsupported {
		t.Errorf("version 2: %v", err)
	}
	if _, err := migrate.Open(append(e.Bytes(), ' '), migrate.NewKey(testKey)); nebula.KindOf(err) != corrupted {
		t.Errorf("version 2, damaged: %v", err)
	}
}
