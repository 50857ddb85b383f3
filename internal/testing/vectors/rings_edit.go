package main

import (
	"fmt"
	"strings"
)

// keyringEdits adds keyrings that were changed after they were sealed.
func (s *suite) keyringEdits() {
	const class = "keyring edit"
	r := usualRing()
	k := r.object()
	for _, path := range append(binaryFields(), "encrypted_data.slots_sha256") {
		s.badRing(class, "keyring, first byte of "+path, flip(k, path).text())
	}
	for _, place := range []string{"salt", "commitment", "nonce", "wrapped"} {
		for i := range r.slots {
			slots := usualRing().slots
			slots[i] = flip(slots[i], place)
			s.badRing(class, fmt.Sprintf("%s of slot %d, hash as it was", place, i+1), k.with("encrypted_data.slots", slotsText(slots)).text())
		}
	}
	edit := func(name, expect string, slots []object) {
		s.ring(class, name+", hash made right", rehashed(k, slots).text(), expect, having{file: true}, nil)
	}
	mine, other := r.slots[0], r.slots[1]
	edit("slot that fits removed", wrongKey, []object{other})
	edit("slot that does not fit removed", corrupted, []object{mine})
	edit("slots reordered", corrupted, []object{other, mine})
	edit("slot added", corrupted, append(usualRing().slots, madeSlots("added", slotSpec{id: "added222", kind: "key-file"})...))
	edit("slot of an unknown kind added", corrupted, append(usualRing().slots, madeSlots("added", slotSpec{id: "added222", kind: "age", secret: fileKey()})...))
	edit("salt edited", wrongKey, []object{flip(mine, "salt"), other})
	edit("commitment edited", wrongKey, []object{flip(mine, "commitment"), other})
	edit("nonce edited", corrupted, []object{flip(mine, "nonce"), other})
	edit("wrapped key edited", corrupted, []object{flip(mine, "wrapped"), other})
	wrapped := mine.get("wrapped")
	edit("tag of the wrapped key edited", corrupted, []object{mine.with("wrapped", flipText(wrapped, 47)), other})
	edit("id edited", wrongKey, []object{mine.with("id", `"abcd2346"`), other})
	edit("kind edited to one that is not known", wrongKey, []object{mine.with("kind", `"age"`), other})
	edit("all kinds edited to one that is not known", "unauthenticated", []object{mine.with("kind", `"age"`), other.with("kind", `"age"`)})
	edit("kind edited to argon2id", wrongKey, []object{mine.with("kind", `"argon2id"`).with("m", "65536").with("t", "3").with("p", "4"), other})
	edit("parameters edited out of bounds", corrupted, []object{mine.with("m", "1"), other})
	edit("the other slot's salt edited", corrupted, []object{mine, flip(other, "salt")})
	edit("the other slot's commitment edited", corrupted, []object{mine, flip(other, "commitment")})
	edit("the other slot's wrapped key edited", corrupted, []object{mine, flip(other, "wrapped")})
	edit("the other slot's id edited", corrupted, []object{mine, other.with("id", `"zzzz7776"`)})
	edit("slot of another keyring under the same file", corrupted, []object{
		makeSlot(otherKey(), fileSlot(), "foreign").object, other})
	edit("wrapped key of another slot", corrupted, []object{mine.with("wrapped", other.get("wrapped")), other})

	strange := ringOf("strange", fileSlot(), slotSpec{id: "oooo2222", kind: "age", data: new("data"), secret: random("of another kind", 32)})
	sk := strange.object()
	strangely := func(name string, slot object) {
		s.badRing(class, name+" of an unknown kind, hash made right", rehashed(sk, []object{strange.slots[0], slot}).text())
	}
	strangely("data edited", strange.slots[1].with("data", b64([]byte("date"))))
	strangely("data emptied", strange.slots[1].with("data", `""`))
	strangely("data removed", append(append(object{}, strange.slots[1][:6]...), strange.slots[1][7:]...))
	strangely("kind edited", strange.slots[1].with("kind", `"agf"`))
	strangely("parameters edited", strange.slots[1].with("p", "1"))

	argon := ringOf("argon", slotSpec{id: "aaaa2222", kind: "argon2id", m: 19456, t: 2, p: 1})
	ak := argon.object()
	for _, c := range [][2]string{{"m", "19457"}, {"t", "3"}, {"p", "2"}} {
		s.ring(class, c[0]+" of argon2id edited within bounds, hash made right",
			rehashed(ak, []object{argon.slots[0].with(c[0], c[1])}).text(), wrongKey, having{password: true}, nil)
	}
	s.ring(class, "wrapped key of argon2id edited, hash made right",
		rehashed(ak, []object{flip(argon.slots[0], "wrapped")}).text(), corrupted, having{password: true}, nil)
	// A slot's secret can be right although the slot's parameters say something else,
	// which only its additional data binds.
	lying := makeSlot(dataKey(), slotSpec{id: "aaaa2222", kind: "pbkdf2-sha256", t: 600000}, "lying")
	wrong := makeSlot(dataKey(), slotSpec{id: "aaaa2222", kind: "pbkdf2-sha256", t: 600001, secret: lying.secret}, "lying")
	s.ring(class, "commitment fits, parameters bound are others",
		ring{slots: []object{wrong.with("t", "600000")}, value: steady, meta: ringMeta(), label: "lying"}.object().text(),
		corrupted, having{password: true}, nil)

	more := func(name string, change func(*meta)) {
		m := ringMeta()
		change(&m)
		bound := usualRing()
		bound.meta, bound.label = m, "meta "+name
		s.badRing("keyring metadata", name+", bound", bound.object().text())
		s.badRing("keyring metadata", name+", added", k.with("metadata", m.object()).text())
	}
	more("last_accessed in a keyring", func(m *meta) { m.accessed = new("2026-03-01T00:00:00Z") })
	more("created_by in a keyring", func(m *meta) { m.by = new("alice") })
	more("scope in a keyring", func(m *meta) { m.scope = new("team-a") })
	more("rotation_policy in a keyring", func(m *meta) { m.days = new(uint64(30)) })
	more("tags in a keyring", func(m *meta) { m.tags = []tag{{"a", "b"}} })
	m := ringMeta()
	m.created = "2026-01-01T00:00:01Z"
	s.badRing("keyring metadata", "created_at of a keyring edited", k.with("metadata", m.object()).text())
	m = ringMeta()
	m.modified = "2026-02-01T00:00:00.000002Z"
	s.badRing("keyring metadata", "last_modified of a keyring edited", k.with("metadata", m.object()).text())
	m.modified = "2026-02-01T00:00:00.000000Z"
	late := usualRing()
	late.meta, late.label = m, "late"
	s.badRing("keyring metadata", "last_modified of a keyring not of the fewest digits, bound", late.object().text())

	text := k.text()
	for _, c := range [][2]string{{"space after the slots", strings.Replace(text, "],", "], ", 1)}, {"newline at the end", text + "\n"},
		{"truncated", text[:len(text)-1]}, {"space at the beginning", " " + text}} {
		s.badRing("keyring form", "keyring, "+c[0], c[1])
	}
	for _, path := range []string{"encrypted_data.slots", "encrypted_data.slots_sha256"} {
		s.badRing("keyring form", path+" missing", k.change(path, func(in object, i int) object { return append(in[:i:i], in[i+1:]...) }).text())
		s.badRing("keyring form", path+" twice", k.change(path, func(in object, i int) object {
			return append(append(append(object{}, in[:i+1]...), in[i]), in[i+1:]...)
		}).text())
		s.badRing("keyring form", path+" null", k.with(path, "null").text())
	}
	s.badRing("keyring form", "slots_sha256 before slots", k.change("encrypted_data.slots", func(in object, i int) object {
		in[i], in[i+1] = in[i+1], in[i]
		return in
	}).text())
	s.badRing("keyring form", "slots_sha256 in hex", k.with("encrypted_data.slots_sha256", `"`+hexed(decoded(k.get("encrypted_data.slots_sha256")))+`"`).text())
	s.badRing("keyring form", "slots_sha256 a byte short", k.with("encrypted_data.slots_sha256", b64(decoded(k.get("encrypted_data.slots_sha256"))[1:])).text())
}

// keyringValues adds sealed values that are authentic, but not valid.
func (s *suite) keyringValues() {
	one := retired(1)[0]
	many := func(n int) string { return `["` + strings.Join(retired(n), `","`) + `"]` }
	const at = `"switched_at":"2026-02-01T00:00:00Z"`
	for _, value := range []string{
		``, `{}`, `[]`, `null`, `{"generation":1}`, steady + "\n", " " + steady, steady + steady, steady[:len(steady)-1], steady + "\x00", "\ufeff" + steady,
		strings.Replace(steady, ":", ": ", 1), strings.Replace(steady, "[]", "[ ]", 1), strings.Replace(steady, "[]", "null", 1),
		strings.Replace(steady, "[]", "{}", 1), strings.Replace(steady, `"generation"`, `"Generation"`, 1),
		`{"generation":0,"state":"steady","retired":[]}`, `{"generation":9007199254740992,"state":"steady","retired":[]}`,
		`{"generation":18446744073709551617,"state":"steady","retired":[]}`, `{"generation":-1,"state":"steady","retired":[]}`,
		`{"generation":01,"state":"steady","retired":[]}`, `{"generation":1.0,"state":"steady","retired":[]}`, `{"generation":1e0,"state":"steady","retired":[]}`,
		`{"generation":"1","state":"steady","retired":[]}`, `{"generation":null,"state":"steady","retired":[]}`, `{"state":"steady","retired":[]}`,
		`{"generation":1,"generation":1,"state":"steady","retired":[]}`, `{"state":"steady","generation":1,"retired":[]}`,
		`{"generation":1,"state":"Steady","retired":[]}`, `{"generation":1,"state":"","retired":[]}`, `{"generation":1,"state":"s\u0074eady","retired":[]}`,
		`{"generation":1,"state":"broken","retired":[]}`, `{"generation":1,"state":null,"retired":[]}`, `{"generation":1,"retired":[]}`,
		`{"generation":1,"retired":[],"state":"steady"}`, `{"generation":1,"state":"steady"}`, `{"generation":1,"state":"steady","retired":[],"more":1}`,
		`{"generation":1,"state":"steady",` + at + `,"retired":[]}`, `{"generation":2,"state":"steady",` + at + `,"retired":["` + one + `"]}`,
		`{"generation":1,"state":"steady","switched_at":null,"retired":[]}`,
		`{"generation":2,"state":"rotating","retired":["` + one + `"]}`, `{"generation":2,"state":"rotating",` + at + `,"retired":[]}`,
		`{"generation":2,"state":"rotating","switched_at":null,"retired":["` + one + `"]}`,
		`{"generation":2,"state":"rotating","switched_at":"2026-02-01T00:00:00.000Z","retired":["` + one + `"]}`,
		`{"generation":2,"state":"rotating","switched_at":"2026-02-30T00:00:00Z","retired":["` + one + `"]}`,
		`{"generation":2,"state":"rotating","retired":["` + one + `"],` + at + `}`,
		`{"generation":66,"state":"steady","retired":` + many(65) + `}`, `{"generation":66,"state":"rotating",` + at + `,"retired":` + many(65) + `}`,
		`{"generation":2,"state":"steady","retired":["` + strings.TrimRight(one, "=") + `"]}`, `{"generation":2,"state":"steady","retired":[""]}`,
		`{"generation":2,"state":"steady","retired":[` + b64(random("short", 31)) + `]}`, `{"generation":2,"state":"steady","retired":[` + b64(random("long", 33)) + `]}`,
		`{"generation":2,"state":"steady","retired":["` + one + `",]}`, `{"generation":2,"state":"steady","retired":[,"` + one + `"]}`,
		`{"generation":2,"state":"steady","retired":["` + one + `" ,"` + one + `"]}`, `{"generation":2,"state":"steady","retired":["` + one + `""` + one + `"]}`,
		`{"generation":2,"state":"steady","retired":[null]}`, `{"generation":2,"state":"steady","retired":"` + one + `"}`,
		`{"generation":2,"state":"steady","retired":["` + one[:4] + "\n" + one[4:] + `"]}`,
	} {
		r := usualRing()
		r.value, r.label = value, "value "+value
		name := value
		if len(name) > 100 {
			name = fmt.Sprintf("%s… (%d bytes)", name[:80], len(name))
		}
		for s.names["keyring: keyring value: sealed value "+fmt.Sprintf("%q", name)] {
			name += "'"
		}
		s.badRing("keyring value", "sealed value "+fmt.Sprintf("%q", name), r.object().text())
	}
}
