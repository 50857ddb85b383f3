package main

import (
	"fmt"
	"strings"
)

func (s *suite) keyringsOK() {
	first := sealedValue{Generation: 1, State: "steady", Retired: []string{}}
	ok := func(class, name string, has having, value sealedValue, specs ...slotSpec) {
		r := ringOf("ok "+name, specs...)
		r.value = valueText(value)
		s.ring("keyring "+class, name, r.object().text(), "ok", has, &value)
	}
	file, password := having{file: true}, having{password: true}
	argon := slotSpec{id: "aaaa2222", kind: "argon2id", m: 19456, t: 2, p: 1}
	ok("kind", "key file", file, first, fileSlot())
	ok("kind", "argon2id at the floor", password, first, argon)
	ok("kind", "pbkdf2 at the floor", password, first, slotSpec{id: "pppp2222", kind: "pbkdf2-sha256", t: 600000})
	ok("kind", "argon2id of 2 lanes and 3 passes", password, first, slotSpec{id: "aaaa2222", kind: "argon2id", m: 20001, t: 3, p: 2})
	ok("kind", "both at hand", having{true, true}, first, fileSlot(), argon)
	ok("kind", "the key file does not fit, the passphrase does", having{true, true}, first,
		slotSpec{id: "ffff2222", kind: "key-file", secret: random("another key file", 32)}, argon)
	ok("kind", "the second of two key files", file, first,
		slotSpec{id: "ffff2222", kind: "key-file", secret: random("another key file", 32)}, fileSlot())
	ok("kind", "two slots fit", file, first, fileSlot(), slotSpec{id: "wxyz7654", kind: "key-file"})

	sixteen := []slotSpec{}
	for i := range 15 {
		sixteen = append(sixteen, slotSpec{id: fmt.Sprintf("slot%c%c22", 'a'+i, 'z'-i), kind: "key-file", secret: random(fmt.Sprint("file ", i), 32)})
	}
	ok("slots", "16 slots, by the last", file, first, append(sixteen, fileSlot())...)
	ok("slots", "ids of every letter", file, first, slotSpec{id: "abcdefgh", kind: "key-file"}, slotSpec{id: "ijklmnop", kind: "key-file"},
		slotSpec{id: "qrstuvwx", kind: "key-file"}, slotSpec{id: "yz234567", kind: "key-file"})

	// Unknown kinds are kept, bound and skipped.
	for _, c := range []struct {
		name  string
		other slotSpec
	}{
		{"with data", slotSpec{id: "oooo2222", kind: "age", data: new("age1qyqszqgpqyqszqgp")}},
		{"without data", slotSpec{id: "oooo2222", kind: "os-keychain"}},
		{"with empty data", slotSpec{id: "oooo2222", kind: "transit", data: new("")}},
		{"with parameters", slotSpec{id: "oooo2222", kind: "scrypt", m: 1<<32 - 1, t: 1<<32 - 1, p: 1<<32 - 1}},
		{"in another case", slotSpec{id: "oooo2222", kind: "Key-File", data: new("x")}},
		{"with quotes and backslash", slotSpec{id: "oooo2222", kind: `a"b\c`, data: new("x")}},
		{"of one character", slotSpec{id: "oooo2222", kind: "\U0001f511"}},
		{"with much data", slotSpec{id: "oooo2222", kind: "kms", data: new(string(random("much", 2000)))}},
		{"with as much data as there may be", slotSpec{id: "oooo2222", kind: "kms", data: new(string(random("most", 8192)))}},
		{"of 64 characters", slotSpec{id: "oooo2222", kind: strings.Repeat("\U0001f511", 64)}},
		{"with a name of a known one", slotSpec{id: "oooo2222", kind: "argon2id ", m: 1, t: 1, p: 1}},
	} {
		c.other.secret = random("of another kind", 32)
		ok("unknown", "a kind that is not known, "+c.name, file, first, c.other, fileSlot())
	}

	ok("value", "generation 2^53-1", file, sealedValue{Generation: 1<<53 - 1, State: "steady", Retired: []string{}}, fileSlot())
	ok("value", "one retired key", file, sealedValue{Generation: 2, State: "steady", Retired: retired(1)}, fileSlot())
	ok("value", "64 retired keys", file, sealedValue{Generation: 65, State: "steady", Retired: retired(64)}, fileSlot())
	ok("value", "rotating", file, sealedValue{Generation: 2, State: "rotating", SwitchedAt: "2026-02-01T00:00:00.000001Z", Retired: retired(1)}, fileSlot())
	ok("value", "rotating with 64 retired keys", file,
		sealedValue{Generation: 900, State: "rotating", SwitchedAt: "9999-12-31T23:59:59.999999999Z", Retired: retired(64)}, fileSlot())

	// A passphrase is normalised: the slot was made with the composed text.
	for _, p := range []struct{ name, given, composed string }{
		{"decomposed", "cafe\u0301 au lait, s'il vous plai\u0302t", "caf\u00e9 au lait, s'il vous pla\u00eet"},
		{"composed", "caf\u00e9 au lait, s'il vous pla\u00eet", "caf\u00e9 au lait, s'il vous pla\u00eet"},
		{"with the sign for angstrom", "10 \u212bngstr\u00f6m and more", "10 \u00c5ngstr\u00f6m and more"},
		{"in jamo", "\u1112\u1161\u11ab\u1100\u1173\u11af passphrase", "\ud55c\uae00 passphrase"},
		{"with ligature and wide letters, which stay", "\ufb01\uff41 \u2460 passphrase", "\ufb01\uff41 \u2460 passphrase"},
		{"of one character", "x", "x"},
		{"with spaces and a newline inside", "  two\nlines  ", "  two\nlines  "},
	} {
		spec := argon
		spec.password = p.composed
		r := ringOf("passphrase "+p.name, spec)
		s.ring("passphrase", "passphrase "+p.name, r.object().text(), "ok", having{}, &first)
		s.vectors[len(s.vectors)-1].Passphrase = new(p.given)
	}
}

// keyringKeys adds keyrings that the available secrets do not open.
func (s *suite) keyringKeys() {
	argon := slotSpec{id: "aaaa2222", kind: "argon2id", m: 19456, t: 2, p: 1}
	other := slotSpec{id: "ffff2222", kind: "key-file", secret: random("another key file", 32)}
	strange := slotSpec{id: "oooo2222", kind: "age", data: new("x"), secret: random("of another kind", 32)}
	add := func(name, expect string, has having, specs ...slotSpec) {
		s.ring("keyring "+expect, name, ringOf("keys "+name, specs...).object().text(), expect, has, nil)
	}
	file, password := having{file: true}, having{password: true}
	wrong := argon
	wrong.password = "another passphrase"
	add("wrong passphrase", wrongKey, password, wrong)
	wrong.password = passphrase + " "
	add("passphrase with a space more", wrongKey, password, wrong)
	wrongPBKDF := slotSpec{id: "pppp2222", kind: "pbkdf2-sha256", t: 600000, password: "another passphrase"}
	add("wrong passphrase, pbkdf2", wrongKey, password, wrongPBKDF)
	add("wrong key file", wrongKey, file, other)
	add("wrong key file, and a kind that is not known", wrongKey, file, strange, other)
	add("both wrong", wrongKey, having{true, true}, other, wrong)
	add("a key file's key under a passphrase's kind", wrongKey, password, slotSpec{id: "aaaa2222", kind: "argon2id", m: 19456, t: 2, p: 1, secret: fileKey()})

	const none = "unauthenticated"
	add("only a kind that is not known", none, having{true, true}, strange)
	add("only kinds that are not known", none, file, strange, slotSpec{id: "oooo3333", kind: "kms", secret: fileKey()})
	add("the key file's kind in another case", none, file, slotSpec{id: "oooo3333", kind: "KEY-FILE"})
	add("a passphrase at hand, a key file asked for", none, password, fileSlot())
	add("a key file at hand, a passphrase asked for", none, file, argon)
	add("nothing at hand", none, having{}, fileSlot(), argon)

	// The slots hold another key than the one that the keyring names, or that seals it.
	r := usualRing()
	r.label, r.keyID = "key id of another", keyID(otherKey())
	s.badRing("keyring key", "key id is not that of the slots' key, and bound", r.object().text())
	r = usualRing()
	r.label, r.key = "another key", otherKey()
	s.badRing("keyring key", "sealed under another key, with its id", r.object().text())
	r.keyID = keyID(dataKey())
	s.badRing("keyring key", "sealed under another key, with our id", r.object().text())
	r = usualRing()
	s.badRing("keyring key", "key id random", r.object().with("encrypted_data.key_id", b64(random("no key's id", 16))).text())
	for _, name := range []string{"keyring", ".Keyring", "", baseID} {
		r.name, r.label = name, "name "+name
		if name == "" {
			r.name = "\x00"
		}
		s.badRing("keyring key", fmt.Sprintf("sealed for the name %q", r.name), r.object().text())
	}
	s.badRing("keyring key", "a record in its place", base().object().text())
	r = usualRing()
	newer := r.object()
	s.ring("keyring version", "keyring of file version 2", newer.with("version", "2").text(), unsupported, having{file: true}, nil)
	s.ring("keyring version", "keyring of data version 3", newer.with("encrypted_data.version", "3").text(), unsupported, having{file: true}, nil)
	s.ring("keyring version", "keyring of data version 1", newer.with("encrypted_data.version", "1").text(), unsupported, having{file: true}, nil)
	s.ring("keyring version", "keyring of data version 3, 40 slots of another form",
		`{"version":1,"encrypted_data":{"version":3,"slots":{"a":1}}}`, unsupported, having{file: true}, nil)
	s.badRing("keyring version", "keyring of file version 0", newer.with("version", "0").text())
}
