package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

func exampleRecord() *input {
	m := meta{created: "2026-01-02T03:04:05Z", modified: "2026-01-02T03:04:05.678901Z", scope: new("team-a"), days: new(uint64(90)),
		tags: []tag{{"env", "prod"}, {"owner", "Zo\u00eb \"Z\""}}}
	in := &input{name: "github-token", key: dataKey(), plaintext: []byte("ghp_0123456789"), meta: m, label: "example"}
	return in.seal()
}

func exampleSlot() madeSlot { return makeSlot(dataKey(), exampleSpec(), "example") }

func exampleSpec() slotSpec {
	return slotSpec{id: "k3y5lot7", kind: "argon2id", m: 19456, t: 2, p: 1}
}

func exampleRing() *input {
	r := ring{slots: []object{exampleSlot().object}, value: steady, label: "example",
		meta: meta{created: "2026-01-01T00:00:00Z", modified: "2026-01-01T00:00:00Z"}}
	return r.seal()
}

// examples adds the record and the keyring that docs/format.md explains.
func (s *suite) examples() {
	in := exampleRecord()
	s.add(vector{Name: "the record of docs/format.md", Class: "example", Kind: "record", ID: in.name, DataKey: hexed(in.key), KeyID: hexed(in.keyID),
		Expect: "ok", Plaintext: new(hexed(in.plaintext)), Record: encoded(in.object().text()),
		Metadata: &metadata{CreatedAt: in.meta.created, LastModified: in.meta.modified, Scope: *in.meta.scope,
			Rotation: &rotation{*in.meta.days}, Tags: map[string]string{"env": "prod", "owner": "Zo\u00eb \"Z\""}}})
	s.ring("example", "the keyring of docs/format.md", exampleRing().object().text(), "ok", having{password: true},
		&sealedValue{Generation: 1, State: "steady", Retired: []string{}})
}

// example returns the text in docs/format.md, with all intermediate values.
func example() string {
	var b strings.Builder
	line := func(name string, value any) {
		if raw, ok := value.([]byte); ok {
			value = hexed(raw)
		}
		text := fmt.Sprint(value)
		fmt.Fprintf(&b, "%-16s", name)
		for len(text) > 96 && !strings.HasPrefix(text, "{") {
			fmt.Fprintf(&b, "%s\n%-16s", text[:96], "")
			text = text[96:]
		}
		fmt.Fprintln(&b, text)
	}
	in := exampleRecord()
	fmt.Fprintln(&b, "### A record\n\n```")
	line("data key", in.key)
	line("name", in.name)
	line("plaintext", string(in.plaintext))
	line("key id", in.keyID)
	line("salt", in.salt)
	line("info", []byte(in.info))
	line("record key", in.recordKey)
	line("commitment", in.commitment)
	line("nonce", in.nonce)
	line("AAD", []byte(in.additional))
	line("ciphertext", in.ciphertext)
	line("tag", in.sums)
	line("record", in.object().text())
	fmt.Fprint(&b, "```\n\n### A keyring\n\n```\n")

	slot, ring := exampleSlot(), exampleRing()
	line("passphrase", passphrase)
	line("data key", ring.key)
	line("slot salt", decoded(slot.get("salt")))
	line("slot secret", slot.secret)
	line("slot PRK", slot.prk)
	line("slot info", []byte(slot.info))
	line("KEK", slot.kek)
	line("slot commitment", slot.commitment)
	line("slot nonce", slot.nonce)
	line("slot AAD", []byte(slot.additional))
	line("wrapped", decoded(slot.get("wrapped")))
	sum := ring.object().get("encrypted_data.slots_sha256")
	line("slots_sha256", decoded(sum))
	line("sealed value", string(ring.plaintext))
	line("salt", ring.salt)
	line("info", []byte(ring.info))
	line("record key", ring.recordKey)
	line("commitment", ring.commitment)
	line("nonce", ring.nonce)
	line("AAD", []byte(ring.additional))
	line("ciphertext", ring.ciphertext)
	line("tag", ring.sums)
	line("record", ring.object().text())
	fmt.Fprintln(&b, "```")
	return b.String()
}

// derived is one known answer for internal/seal.
type derived struct {
	What       string `json:"what"` // record, slot or secret
	DataKey    string `json:"data_key,omitempty"`
	KeyID      string `json:"key_id,omitempty"`
	Name       string `json:"name,omitempty"`
	Kind       string `json:"kind,omitempty"`
	ID         string `json:"id,omitempty"`
	Passphrase string `json:"passphrase,omitempty"`
	M          uint64 `json:"m,omitempty"`
	T          uint64 `json:"t,omitempty"`
	P          uint64 `json:"p,omitempty"`
	Salt       string `json:"salt"`
	Secret     string `json:"secret,omitempty"`
	Key        string `json:"key,omitempty"` // record key, or KEK
	Commitment string `json:"commitment,omitempty"`
}

func writeDerived(w io.Writer) error {
	var all []derived
	for i, name := range []string{"a", "github-token", ".keyring", strings.Repeat("x", 128), "GitHub-Token"} {
		for _, key := range [][]byte{dataKey(), random(fmt.Sprint("derived key ", i), 32), make([]byte, 32)} {
			in := &input{name: name, key: key, meta: plain(), label: "derived " + name}
			in.seal()
			all = append(all, derived{What: "record", DataKey: hexed(key), KeyID: hexed(in.keyID), Name: name, Salt: hexed(in.salt),
				Key: hexed(in.recordKey), Commitment: hexed(in.commitment)})
		}
	}
	for i, kind := range []string{"argon2id", "pbkdf2-sha256", "key-file", "age", "\U0001f511"} {
		for _, id := range []string{"abcd2345", "zzzzzzzz"} {
			made := makeSlot(dataKey(), slotSpec{id: id, kind: kind, secret: random(fmt.Sprint("derived secret ", i), 32)}, "derived")
			all = append(all, derived{What: "slot", Kind: kind, ID: id, Salt: hexed(decoded(made.get("salt"))), Secret: hexed(made.secret),
				Key: hexed(made.kek), Commitment: hexed(made.commitment)})
		}
	}
	for _, spec := range []slotSpec{
		{kind: "argon2id", m: 19456, t: 2, p: 1, password: "x"}, {kind: "argon2id", m: 19456, t: 2, p: 1, password: "caf\u00e9 au lait"},
		{kind: "argon2id", m: 65536, t: 3, p: 4, password: passphrase}, {kind: "pbkdf2-sha256", t: 600000, password: passphrase},
		{kind: "pbkdf2-sha256", t: 600001, password: "\U0001f511"},
	} {
		salt := random("derived/"+spec.password, 16)
		all = append(all, derived{What: "secret", Kind: spec.kind, Passphrase: spec.password, M: spec.m, T: spec.t, P: spec.p, Salt: hexed(salt),
			Secret: hexed(spec.secretOf(salt))})
	}
	e := json.NewEncoder(w)
	for _, d := range all {
		if err := e.Encode(d); err != nil {
			return err
		}
	}
	return nil
}
