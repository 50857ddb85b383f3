package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// keyringSlots adds lists of slots that are not valid, sealed as they are.
func (s *suite) keyringSlots() {
	const class = "keyring slots"
	file := having{file: true}
	bad := func(name string, slots []object) {
		r := ring{slots: slots, value: steady, meta: ringMeta(), label: "slots " + name}
		s.badRing(class, name, r.object().text())
	}
	bad("no slots", nil)
	seventeen := madeSlots("17", fileSlot())
	for i := range 16 {
		seventeen = append(seventeen, madeSlots("17", slotSpec{id: fmt.Sprintf("slot%c%c22", 'a'+i, 'z'-i), kind: "key-file"})...)
	}
	bad("17 slots", seventeen)
	bad("two slots of one id", madeSlots("twice", fileSlot(), slotSpec{id: "abcd2345", kind: "age"}))
	for _, id := range []string{"", "abcd234", "abcd23456", "ABCD2345", "abcd2341", "abcd2340", "abcd2348", "abcd-345", "abcd 345", "abcd234=", "\u00e9bcd234", `abcd234"`} {
		bad(fmt.Sprintf("id %q", id), madeSlots("id", slotSpec{id: id, kind: "key-file"}))
		bad(fmt.Sprintf("id %q, of a kind that is not known", id), madeSlots("id", fileSlot(), slotSpec{id: id, kind: "age", secret: fileKey()}))
	}
	for _, kind := range []string{"", "age\x00", "age\n", "age\x7f", "age\u0085", "age\xff"} {
		bad(fmt.Sprintf("kind %q", kind), madeSlots("kind", fileSlot(), slotSpec{id: "oooo2222", kind: kind, secret: fileKey()}))
	}
	bad("kind of 65 characters", madeSlots("long kind", fileSlot(), slotSpec{id: "oooo2222", kind: strings.Repeat("k", 65), secret: fileKey()}))
	bad("8193 bytes of data", madeSlots("long data", fileSlot(), slotSpec{id: "oooo2222", kind: "kms", data: new(string(random("long", 8193))), secret: fileKey()}))
	for _, kind := range []string{"key-file", "argon2id", "pbkdf2-sha256"} {
		for _, data := range []string{"", "x"} {
			spec := slotSpec{id: "dddd2222", kind: kind, data: &data, secret: fileKey()}
			switch kind {
			case "argon2id":
				spec.m, spec.t, spec.p = 19456, 2, 1
			case "pbkdf2-sha256":
				spec.t = 600000
			}
			bad(fmt.Sprintf("data %q of kind %s", data, kind), madeSlots("data", fileSlot(), spec))
		}
	}
	strange := slotSpec{id: "oooo2222", kind: "age", data: new("data!"), secret: fileKey()}
	form := func(name string, change func(o object) object) {
		slots := madeSlots("form", fileSlot(), strange)
		slots[1] = change(slots[1])
		bad(name, slots)
	}
	for _, path := range []string{"id", "kind", "salt", "m", "t", "p", "data", "commitment", "nonce", "wrapped"} {
		if path != "data" {
			form(path+" of a slot missing", func(o object) object {
				return o.change(path, func(in object, i int) object { return slices.Delete(in, i, i+1) })
			})
		}
		form(path+" of a slot twice", func(o object) object {
			return o.change(path, func(in object, i int) object { return slices.Insert(in, i, in[i]) })
		})
		form(path+" of a slot null", func(o object) object { return o.with(path, "null") })
		form(path+" of a slot in another case", func(o object) object {
			return o.change(path, func(in object, i int) object { in[i].name = strings.ToUpper(path); return in })
		})
		if path != "wrapped" {
			form(path+" of a slot after its neighbour", func(o object) object {
				return o.change(path, func(in object, i int) object { in[i], in[i+1] = in[i+1], in[i]; return in })
			})
		}
	}
	form("a member more in a slot", func(o object) object { return append(o, member{"extra", "1"}) })
	form("a space in a slot", func(o object) object { return o.with("m", " 0") })
	form("kind escaped", func(o object) object { return o.with("kind", `"\u0061ge"`) })
	form("id escaped", func(o object) object { return o.with("id", `"\u006fooo2222"`) })
	form("data unpadded", func(o object) object { return o.with("data", unpadded([]byte("data!"))) })
	form("data with trailing bits", func(o object) object { return o.with("data", `"ZGF0YSF="`) })
	for _, path := range []string{"salt", "commitment", "nonce", "wrapped"} {
		form(path+" of a slot a byte short", func(o object) object { return o.with(path, b64(decoded(o.get(path))[1:])) })
		form(path+" of a slot a byte long", func(o object) object { return o.with(path, b64(append(decoded(o.get(path)), 0))) })
		form(path+" of a slot with a newline", func(o object) object {
			text := o.get(path)
			return o.with(path, text[:5]+"\n"+text[5:])
		})
	}
	for _, n := range []string{"4294967296", "18446744073709551616", "-1", "00", "0.0", "0e0", `"0"`, "true"} {
		form("m of a slot "+n, func(o object) object { return o.with("m", n) })
	}

	slots := madeSlots("list", fileSlot())
	for _, list := range []string{"{}", "null", `"x"`, slots[0].text(), "[" + slots[0].text() + ",]", "[," + slots[0].text() + "]", "[[" + slots[0].text() + "]]",
		"[ " + slots[0].text() + "]", "[null]", "[{}]"} {
		in := &input{name: ".keyring", key: dataKey(), plaintext: []byte(steady), meta: ringMeta(), label: "list", slots: &list}
		s.ring(class, fmt.Sprintf("list as %.20s…%.3s", list, list[len(list)-2:]), in.seal().object().text(), corrupted, file, nil)
	}
}

// keyringBounds adds parameters on both sides of every bound. Those outside are refused
// before any work: the key file would open the keyring.
func (s *suite) keyringBounds() {
	const class = "keyring bounds"
	at := func(kind string, m, t, p uint64, ok bool) {
		spec := slotSpec{id: "bbbb2222", kind: kind, m: m, t: t, p: p, secret: random("never derived", 32)}
		name := fmt.Sprintf("%s m=%d t=%d p=%d", kind, m, t, p)
		text := ringOf("bounds", fileSlot(), spec).object().text()
		if ok {
			s.ring(class, name, text, "ok", having{file: true}, &sealedValue{Generation: 1, State: "steady", Retired: []string{}})
			return
		}
		s.badRing(class, name, text)
		s.ring(class, name+", passphrase at hand", text, corrupted, having{password: true}, nil)
	}
	const argon, pbkdf, file = "argon2id", "pbkdf2-sha256", "key-file"
	for _, c := range []struct {
		kind    string
		m, t, p uint64
		ok      bool
	}{
		{argon, 19456, 2, 1, true}, {argon, 19455, 2, 1, false}, {argon, 0, 2, 1, false}, {argon, 19456, 1, 1, false}, {argon, 19456, 0, 1, false},
		{argon, 1 << 20, 1, 1, false}, {argon, 65536, 3, 0, false}, {argon, 65536, 3, 16, true}, {argon, 65536, 3, 17, false},
		{argon, 65536, 3, 255, false}, {argon, 65536, 3, 256, false}, {argon, 65536, 3, 257, false}, {argon, 65536, 16, 1, true}, {argon, 65536, 17, 1, false},
		{argon, 1 << 20, 2, 4, true}, {argon, 1<<20 + 1, 2, 4, false}, {argon, 1 << 20, 4, 4, true}, {argon, 1 << 20, 5, 4, false},
		{argon, 1 << 18, 16, 4, true}, {argon, 1<<18 + 1, 16, 4, false}, {argon, 1 << 19, 8, 4, true}, {argon, 1 << 19, 9, 4, false},
		{argon, 1398101, 3, 4, false}, {argon, 838861, 5, 4, false}, {argon, 838860, 5, 4, true}, {argon, 1 << 31, 2, 4, false}, {argon, 1<<32 - 1, 2, 4, false}, {argon, 1 << 32, 2, 4, false}, {argon, 65536, 1<<32 - 1, 4, false},
		{argon, 65536, 3, 1<<32 - 1, false}, {argon, 65536, 1 << 32, 4, false}, {argon, 65536, 3, 1 << 32, false}, {argon, 1<<32 + 65536, 3, 4, false},
		{pbkdf, 0, 600000, 0, true}, {pbkdf, 0, 599999, 0, false}, {pbkdf, 0, 0, 0, false}, {pbkdf, 0, 1, 0, false}, {pbkdf, 0, 10000000, 0, true},
		{pbkdf, 0, 10000001, 0, false}, {pbkdf, 0, 1<<32 - 1, 0, false}, {pbkdf, 0, 1 << 32, 0, false}, {pbkdf, 1, 600000, 0, false}, {pbkdf, 0, 600000, 1, false},
		{file, 1, 0, 0, false}, {file, 0, 1, 0, false}, {file, 0, 0, 1, false}, {file, 19456, 2, 1, false},
		{"scrypt", 1<<32 - 1, 0, 0, true}, {"scrypt", 1 << 32, 0, 0, false}, {"scrypt", 0, 1 << 32, 0, false}, {"scrypt", 0, 0, 1 << 32, false},
	} {
		at(c.kind, c.m, c.t, c.p, c.ok)
	}
}

// rehashed returns the keyring with other slots and the right hash for them. Anyone can
// make that change without a key.
func rehashed(r object, slots []object) object {
	text := slotsText(slots)
	sum := sha256.Sum256([]byte(text))
	return r.with("encrypted_data.slots", text).with("encrypted_data.slots_sha256", b64(sum[:]))
}
