package main

import (
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"
)

const passphrase = "correct horse battery staple"

// slotSpec says how to make a slot.
type slotSpec struct {
	id, kind string
	m, t, p  uint64
	data     *string
	secret   []byte // nil means derived from the passphrase, or that of the key file
	password string // "" means the usual one
}

// secretOf returns the 32 bytes that wrap the data key in the slot.
func (s slotSpec) secretOf(salt []byte) []byte {
	password := or(s.password, passphrase)
	switch {
	case s.secret != nil:
		return s.secret
	case s.kind == "argon2id":
		return argon2.IDKey([]byte(password), salt, uint32(s.t), uint32(s.m), uint8(s.p), 32)
	case s.kind == "pbkdf2-sha256":
		secret, err := pbkdf2.Key(sha256.New, password, salt, int(s.t), 32)
		if err != nil {
			panic(err)
		}
		return secret
	}
	return fileKey()
}

// madeSlot is a slot with its intermediate values.
type madeSlot struct {
	object
	secret, prk, kek  []byte
	info, additional  string
	commitment, nonce []byte
}

func makeSlot(key []byte, spec slotSpec, label string) madeSlot {
	var made madeSlot
	salt := random(label+"/"+spec.id+"/salt", 16)
	made.nonce = random(label+"/"+spec.id+"/nonce", 12)
	made.secret = spec.secretOf(salt)
	var err error
	if made.prk, err = hkdf.Extract(sha256.New, made.secret, salt); err != nil {
		panic(err)
	}
	made.info = "nebula/2/slot\x00" + l(spec.kind) + l(spec.id)
	okm := expand(made.prk, made.info, 64)
	made.kek, made.commitment = okm[:32], okm[32:]
	made.additional = "nebula/2/slot-aad\x00" + l(spec.kind) + l(spec.id) + u32(spec.m) + u32(spec.t) + u32(spec.p) + o(spec.data)
	wrapped := gcm(made.kek, made.nonce, key, made.additional, 16)
	made.object = object{{"id", quote(spec.id)}, {"kind", quote(spec.kind)}, {"salt", b64(salt)},
		{"m", fmt.Sprint(spec.m)}, {"t", fmt.Sprint(spec.t)}, {"p", fmt.Sprint(spec.p)}}
	if spec.data != nil {
		made.object = append(made.object, member{"data", b64([]byte(*spec.data))})
	}
	made.object = append(made.object, member{"commitment", b64(made.commitment)}, member{"nonce", b64(made.nonce)},
		member{"wrapped", b64(wrapped)})
	return made
}

func slotsText(slots []object) string {
	var texts []string
	for _, s := range slots {
		texts = append(texts, s.text())
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// ring says how to make a keyring.
type ring struct {
	slots []object
	value string // the sealed value
	meta  meta
	label string
	key   []byte // the key that seals it; nil means the data key
	keyID []byte // nil means the key's own
	name  string // "" means .keyring
}

func (r ring) seal() *input {
	text := slotsText(r.slots)
	if r.key == nil {
		r.key = dataKey()
	}
	in := &input{name: or(r.name, ".keyring"), key: r.key, plaintext: []byte(r.value), meta: r.meta, label: "ring " + r.label, slots: &text, keyID: r.keyID}
	return in.seal()
}

func (r ring) object() object { return r.seal().object() }

const steady = `{"generation":1,"state":"steady","retired":[]}`

func ringMeta() meta {
	return meta{created: "2026-01-01T00:00:00Z", modified: "2026-02-01T00:00:00.000001Z"}
}

func fileSlot() slotSpec { return slotSpec{id: "abcd2345", kind: "key-file"} }

// madeSlots returns slots that hold the data key.
func madeSlots(label string, specs ...slotSpec) (slots []object) {
	for _, spec := range specs {
		slots = append(slots, makeSlot(dataKey(), spec, label).object)
	}
	return slots
}

func ringOf(label string, specs ...slotSpec) ring {
	return ring{slots: madeSlots(label, specs...), value: steady, meta: ringMeta(), label: label}
}

// usualRing returns a keyring that the key file opens, with a second slot.
func usualRing() ring {
	return ringOf("usual", fileSlot(), slotSpec{id: "zzzz7777", kind: "key-file", secret: random("another key file", 32)})
}

// having says what is there to open a keyring with.
type having struct{ file, password bool }

func (s *suite) ring(class, name string, text string, expect string, has having, value *sealedValue) {
	v := vector{Name: name, Class: class, Kind: "keyring", Expect: expect, Record: encoded(text), SealedValue: value}
	if has.file {
		v.KeyFile = new(keyFileText(fileKey()))
	}
	if has.password {
		v.Passphrase = new(passphrase)
	}
	if expect == "ok" {
		v.DataKey, v.KeyID = hexed(dataKey()), hexed(keyID(dataKey()))
	}
	s.add(v)
}

func (s *suite) badRing(class, name, text string) {
	s.ring(class, name, text, corrupted, having{file: true}, nil)
}

// valueText returns the sealed value's canonical text.
func valueText(v sealedValue) string {
	switched := ""
	if v.SwitchedAt != "" {
		switched = `,"switched_at":"` + v.SwitchedAt + `"`
	}
	quoted := slices.Clone(v.Retired)
	for i := range quoted {
		quoted[i] = `"` + quoted[i] + `"`
	}
	return fmt.Sprintf(`{"generation":%d,"state":"%s"%s,"retired":[%s]%s}`, v.Generation, v.State, switched, strings.Join(quoted, ","), notesText(v.Notes))
}

func retired(n int) []string {
	keys := []string{}
	for i := range n {
		keys = append(keys, strings.Trim(b64(random(fmt.Sprint("retired", i), 32)), `"`))
	}
	return keys
}
