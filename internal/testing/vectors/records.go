package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	corrupted   = "corrupted"
	unsupported = "unsupported_version"
	wrongKey    = "wrong_key"
)

func dataKey() []byte  { return random("data key", 32) }
func otherKey() []byte { return random("another data key", 32) }

// plain is the least metadata. full has every field.
func plain() meta { return meta{created: "2026-01-02T03:04:05Z", modified: "2026-01-02T03:04:05Z"} }

func full() meta {
	return meta{
		created: "2026-01-02T03:04:05Z", modified: "2026-02-03T04:05:06.123456Z",
		accessed: new("2026-03-04T05:06:07.123Z"), by: new("alice"), scope: new("team-a"), days: new(uint64(90)),
		tags: []tag{{"env", "prod"}, {"owner", "ops"}},
	}
}

const baseID = "db-password"

// base returns the record from which most of the wrong ones are made.
func base() *input {
	in := &input{name: baseID, key: dataKey(), plaintext: []byte("correct horse battery"), meta: full(), label: "base"}
	return in.seal()
}

func sealed(label string, m meta) *input {
	in := &input{name: baseID, key: dataKey(), plaintext: []byte("correct horse battery"), meta: m, label: label}
	return in.seal()
}

// wrong adds a record that must be refused.
func (s *suite) wrong(class, name, id, text, expect string) {
	s.add(vector{Name: name, Class: class, Kind: "record", ID: id, DataKey: hexed(dataKey()), KeyID: hexed(keyID(dataKey())),
		Expect: expect, Record: encoded(text)})
}

// bad adds a corrupted record under the usual id.
func (s *suite) bad(class, name, text string) { s.wrong(class, name, baseID, text, corrupted) }

func (s *suite) ok(class, name, id string, plaintext []byte, m meta) {
	slices.SortFunc(m.tags, func(a, b tag) int { return strings.Compare(a.key, b.key) })
	in := &input{name: id, key: dataKey(), plaintext: plaintext, meta: m, label: "ok/" + class + "/" + name}
	v := vector{Name: name, Class: class, Kind: "record", ID: id, DataKey: hexed(in.key), KeyID: hexed(keyID(in.key)),
		Expect: "ok", Plaintext: new(hexed(plaintext)), Record: encoded(in.seal().object().text()),
		Metadata: &metadata{CreatedAt: m.created, LastModified: m.modified, Tags: map[string]string{}}}
	if m.accessed != nil {
		v.Metadata.LastAccessed = *m.accessed
	}
	if m.by != nil {
		v.Metadata.CreatedBy = *m.by
	}
	if m.scope != nil {
		v.Metadata.Scope = *m.scope
	}
	if m.days != nil {
		v.Metadata.Rotation = &rotation{*m.days}
	}
	for _, t := range m.tags {
		v.Metadata.Tags[t.key] = t.value
	}
	s.add(v)
}

func (s *suite) recordsOK() {
	for _, size := range []int{0, 1, 15, 16, 17, 255, 1 << 10, 4 << 10} {
		s.ok("size", fmt.Sprintf("%d bytes", size), "size", random("plaintext", size), plain())
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	s.ok("size", "all bytes", "all-bytes", all, plain())

	for _, id := range []string{"a", "Z", "0", "_", "_-", "a-", "github_token", "github-token", "GitHub-Token", "GITHUB_TOKEN",
		"keyring", "con1", "com0", "CONX", "null", strings.Repeat("x", 127), strings.Repeat("Yz-_", 32)} {
		s.ok("id", "id "+id, id, []byte("v"), plain())
	}

	optional := []struct {
		name string
		set  func(*meta)
	}{
		{"last_accessed", func(m *meta) { m.accessed = new("2026-03-04T05:06:07.500Z") }},
		{"created_by", func(m *meta) { m.by = new("alice@example.org") }},
		{"scope", func(m *meta) { m.scope = new("team/a") }},
		{"rotation_policy", func(m *meta) { m.days = new(uint64(30)) }},
		{"tags", func(m *meta) { m.tags = []tag{{"env", "prod"}} }},
	}
	for bits := range 1 << len(optional) {
		m, name := plain(), ""
		for i, field := range optional {
			if bits>>i&1 == 1 {
				field.set(&m)
				name += " " + field.name
			}
		}
		s.ok("optional", "with"+or(name, " none"), "optional", []byte("v"), m)
	}
	for _, days := range []uint64{1, 2, 365, 1 << 31, 1<<32 - 1} {
		m := plain()
		m.days = &days
		s.ok("rotation", fmt.Sprintf("%d days", days), "rotation", []byte("v"), m)
	}
	for _, t := range []string{
		"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z", "1972-02-29T23:59:59Z", "1999-12-31T23:59:59.999Z",
		"2000-02-29T00:00:00Z", "2024-02-29T12:00:00Z", "2038-01-19T03:14:08Z", "2099-12-31T00:00:00Z", "2262-04-11T23:47:16.854775808Z",
		"2400-02-29T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z",
		"2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.100Z",
		"2026-01-02T03:04:05.001Z", "2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.000000001Z", "2026-01-02T03:04:05.000100Z",
		"2026-01-02T03:04:05.100100Z", "2026-01-02T03:04:05.000100100Z", "2026-01-02T03:04:05.999999999Z",
	} {
		m := plain()
		m.created, m.modified, m.accessed = t, t, &t
		s.ok("time", "time "+t, "time", []byte("v"), m)
	}
	m := plain()
	m.created, m.modified = "2026-01-02T03:04:05Z", "2025-01-02T03:04:05Z"
	s.ok("time", "modified before created", "time", []byte("v"), m)
}

// recordKeys adds records that are sealed under another key, or claim to be.
func (s *suite) recordKeys() {
	const class = "key"
	own := base().object()
	other := &input{name: baseID, key: otherKey(), plaintext: []byte("correct horse battery"), meta: full(), label: "base"}
	others := other.seal().object()
	s.wrong(class, "another key's record", baseID, others.text(), wrongKey)
	s.wrong(class, "another key's record under another id", "other", others.text(), wrongKey)
	s.wrong(class, "another key's record, ciphertext damaged", baseID, flip(others, "encrypted_data.ciphertext").text(), wrongKey)
	s.bad(class, "another key's record with our key id", others.with("encrypted_data.key_id", own.get("encrypted_data.key_id")).text())
	s.bad(class, "our record with another key's id", own.with("encrypted_data.key_id", others.get("encrypted_data.key_id")).text())
	s.bad(class, "our record with a random key id", own.with("encrypted_data.key_id", b64(random("no key's id", 16))).text())
	s.wrong(class, "key id and commitment damaged", baseID,
		flip(own.with("encrypted_data.key_id", b64(random("no key's id", 16))), "encrypted_data.commitment").text(), wrongKey)
	s.bad(class, "another key's commitment", own.with("encrypted_data.commitment", others.get("encrypted_data.commitment")).text())
	relabelled := &input{name: baseID, key: otherKey(), plaintext: []byte("correct horse battery"), meta: full(), label: "relabelled",
		keyID: keyID(dataKey())}
	s.bad(class, "sealed under another key, our key id bound", relabelled.seal().object().text())

	for _, id := range []string{"other", "DB-password", "db_password", "db-passwor", "db-password1"} {
		s.wrong("swap", "record of "+baseID+" under "+id, id, own.text(), corrupted)
	}
	for _, versions := range [][2]uint64{{2, 2}, {1, 3}, {1, 1}} {
		in := &input{name: baseID, key: dataKey(), plaintext: []byte("v"), meta: full(), label: "versions bound",
			fileVersion: versions[0], dataVersion: versions[1]}
		s.bad("swap", fmt.Sprintf("versions %d and %d bound", versions[0], versions[1]), in.seal().object().text())
	}
	bound := "[]"
	in := &input{name: baseID, key: dataKey(), plaintext: []byte("v"), meta: full(), label: "slots in a record", slots: &bound}
	s.bad("swap", "slots in a record", in.seal().object().text())
	s.bad("swap", "a keyring under an id", usualRing().object().text())
}
