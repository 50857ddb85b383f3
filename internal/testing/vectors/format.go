package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// random returns n bytes that look random and depend only on the label.
func random(label string, n int) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "nebula vectors 1/%s/%d", label, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// member and object are JSON as it is written: members in order, and each value is a
// text or another object. Nothing is checked, so wrong texts can be made.
type member struct {
	name  string
	value any // string, or object
}

type object []member

func (o object) text() string {
	var parts []string
	for _, m := range o {
		value, ok := m.value.(string)
		if !ok {
			value = m.value.(object).text()
		}
		parts = append(parts, `"`+m.name+`":`+value)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// at returns the object that contains the last name of the path, and its
// position.
func (o object) at(path string) (object, int) {
	first, rest, nested := strings.Cut(path, ".")
	for i, m := range o {
		if m.name == first {
			if nested {
				return m.value.(object).at(rest)
			}
			return o, i
		}
	}
	panic("no member " + path)
}

func (o object) get(path string) string {
	in, i := o.at(path)
	return in[i].value.(string)
}

// with returns a copy with another value at the path.
func (o object) with(path string, value any) object {
	return o.change(path, func(in object, i int) object {
		in[i].value = value
		return in
	})
}

// change returns a copy in which f has changed the object that holds the path.
func (o object) change(path string, f func(in object, i int) object) object {
	o = slices.Clone(o)
	first, rest, nested := strings.Cut(path, ".")
	for i := range o {
		if o[i].name != first {
			continue
		}
		if !nested {
			return f(o, i)
		}
		o[i].value = o[i].value.(object).change(rest, f)
		return o
	}
	panic("no member " + path)
}

func quote(s string) string {
	s = strings.ReplaceAll(s, `\`, `\\`)
	s = strings.ReplaceAll(s, `"`, `\"`)
	return `"` + s + `"`
}

func b64(b []byte) string { return `"` + base64.StdEncoding.EncodeToString(b) + `"` }

func u32(n uint64) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// l and o are L(x) and O(x) of the specification; nil is absent.
func l(x string) string { return u32(uint64(len(x))) + x }

func o(x *string) string {
	if x == nil {
		return "\x00"
	}
	return "\x01" + l(*x)
}

type tag struct{ key, value string }

// meta is metadata as the additional data binds it, right or wrong.
type meta struct {
	created, modified   string
	accessed, by, scope *string
	days                *uint64
	tags                []tag // sorted by the bytes of the key
}

func (m meta) additional() string {
	s := l(m.created) + l(m.modified) + o(m.accessed) + o(m.by) + o(m.scope)
	if m.days == nil {
		s += "\x00"
	} else {
		s += "\x01" + u32(*m.days)
	}
	s += u32(uint64(len(m.tags)))
	for _, t := range m.tags {
		s += l(t.key) + l(t.value)
	}
	return s
}

func (m meta) object() object {
	out := object{{"created_at", quote(m.created)}, {"last_modified", quote(m.modified)}}
	if m.accessed != nil {
		out = append(out, member{"last_accessed", quote(*m.accessed)})
	}
	if m.by != nil {
		out = append(out, member{"created_by", quote(*m.by)})
	}
	if m.scope != nil {
		out = append(out, member{"scope", quote(*m.scope)})
	}
	if m.days != nil {
		out = append(out, member{"rotation_policy", object{{"interval_days", fmt.Sprint(*m.days)}}})
	}
	tags := object{}
	for _, t := range m.tags {
		quoted := quote(t.key)
		tags = append(tags, member{quoted[1 : len(quoted)-1], quote(t.value)})
	}
	return append(out, member{"tags", tags})
}

// input is everything that goes into a record. A size of 0 means the right size.
type input struct {
	name                          string
	key, plaintext                []byte
	meta                          meta
	label                         string // for salt and nonce
	saltSize, nonceSize, tagSize  int
	keyID                         []byte // nil means the key's own
	fileVersion, dataVersion      uint64 // 0 means the right one
	slots                         *string
	info, additional              string // out: the inputs that seal made
	recordKey, commitment         []byte // out
	salt, nonce, ciphertext, sums []byte // out; sums is the tag
}

func or[T comparable](x, y T) T {
	var zero T
	if x == zero {
		return y
	}
	return x
}

func expand(key []byte, info string, n int) []byte {
	out, err := hkdf.Expand(sha256.New, key, info, n)
	if err != nil {
		panic(err)
	}
	return out
}

func keyID(key []byte) []byte { return expand(key, "nebula/2/key-id\x00", 16) }

// seal fills in the fields marked as out.
func (in *input) seal() *input {
	in.salt = random(in.label+"/salt", or(in.saltSize, 16))
	in.nonce = random(in.label+"/nonce", or(in.nonceSize, 12))
	if in.keyID == nil {
		in.keyID = keyID(in.key)
	}
	in.info = "nebula/2/record\x00" + string(in.salt) + string(binary.BigEndian.AppendUint16(nil, uint16(len(in.name)))) + in.name
	okm := expand(in.key, in.info, 64)
	in.recordKey, in.commitment = okm[:32], okm[32:]
	in.additional = "nebula/2/aad\x00" + u32(or(in.fileVersion, 1)) + u32(or(in.dataVersion, 2)) +
		l("AES-256-GCM+HKDF-SHA-256") + l(string(in.keyID)) + l(in.name) + in.meta.additional()
	if in.slots != nil {
		sum := sha256.Sum256([]byte(*in.slots))
		in.additional += l(string(sum[:]))
	}
	sealed := gcm(in.recordKey, in.nonce, in.plaintext, in.additional, or(in.tagSize, 16))
	cut := len(in.plaintext)
	in.ciphertext, in.sums = sealed[:cut], sealed[cut:]
	return in
}

func gcm(key, nonce, plaintext []byte, additional string, tagSize int) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	var aead cipher.AEAD
	switch {
	case len(nonce) != 12:
		aead, err = cipher.NewGCMWithNonceSize(block, len(nonce))
	default:
		aead, err = cipher.NewGCMWithTagSize(block, tagSize)
	}
	if err != nil {
		panic(err)
	}
	return aead.Seal(nil, nonce, plaintext, []byte(additional))
}

// object returns the record.
func (in *input) object() object {
	e := object{
		{"version", "2"}, {"key_id", b64(in.keyID)}, {"commitment", b64(in.commitment)},
		{"nonce", b64(in.nonce)}, {"ciphertext", b64(in.ciphertext)}, {"tag", b64(in.sums)},
	}
	if in.slots != nil {
		sum := sha256.Sum256([]byte(*in.slots))
		e = append(e, member{"slots", *in.slots}, member{"slots_sha256", b64(sum[:])})
	}
	return object{{"version", "1"}, {"encrypted_data", e}, {"metadata", in.meta.object()}, {"salt", b64(in.salt)}}
}
