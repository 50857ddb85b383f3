package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// flip changes the lowest bit of the first byte in a base64 field.
func flip(o object, path string) object { return o.with(path, flipText(o.get(path), 0)) }

func flipText(text string, at int) string {
	b := decoded(text)
	b[at] ^= 1
	return b64(b)
}

func decoded(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(strings.Trim(text, `"`))
	if err != nil {
		panic(err)
	}
	return b
}

func binaryFields() []string {
	return []string{"encrypted_data.key_id", "encrypted_data.commitment", "encrypted_data.nonce",
		"encrypted_data.ciphertext", "encrypted_data.tag", "salt"}
}

// recordEdits adds records whose form is right and whose seal does not fit.
func (s *suite) recordEdits() {
	r := base().object()
	for _, path := range binaryFields() {
		s.bad("flip", "first byte of "+path, flip(r, path).text())
		last := len(decoded(r.get(path))) - 1
		s.bad("flip", "last byte of "+path, r.with(path, flipText(r.get(path), last)).text())
		if last+1 == 16 || last+1 == 12 || last+1 == 32 {
			s.bad("flip", "all zero in "+path, r.with(path, b64(make([]byte, last+1))).text())
		}
	}
	ciphertext := decoded(r.get("encrypted_data.ciphertext"))
	tagged := decoded(r.get("encrypted_data.tag"))
	s.bad("flip", "ciphertext cut", r.with("encrypted_data.ciphertext", b64(ciphertext[1:])).text())
	s.bad("flip", "ciphertext longer", r.with("encrypted_data.ciphertext", b64(append(ciphertext[:len(ciphertext):len(ciphertext)], 0))).text())
	s.bad("flip", "ciphertext empty", r.with("encrypted_data.ciphertext", `""`).text())
	s.bad("flip", "tag and end of ciphertext exchanged",
		r.with("encrypted_data.ciphertext", b64(append(ciphertext[:5:5], tagged...))).with("encrypted_data.tag", b64(ciphertext[5:21])).text())
	twin := sealed("twin", full()).object()
	for _, path := range binaryFields() {
		if path != "encrypted_data.key_id" {
			s.bad("flip", path+" of another version of the record", r.with(path, twin.get(path)).text())
		}
	}

	least := sealed("least", plain()).object()
	edit := func(name string, r object, change func(*meta)) {
		m := full()
		change(&m)
		s.bad("metadata", name, r.with("metadata", m.object()).text())
	}
	edit("created_at edited", r, func(m *meta) { m.created = "2026-01-02T03:04:06Z" })
	edit("created_at and last_modified exchanged", r, func(m *meta) { m.created, m.modified = m.modified, m.created })
	edit("last_modified edited", r, func(m *meta) { m.modified = "2026-02-03T04:05:06.123457Z" })
	edit("last_accessed edited", r, func(m *meta) { m.accessed = new("2027-03-04T05:06:07.123Z") })
	edit("last_accessed removed", r, func(m *meta) { m.accessed = nil })
	edit("created_by edited", r, func(m *meta) { m.by = new("mallory") })
	edit("created_by in another case", r, func(m *meta) { m.by = new("Alice") })
	edit("created_by removed", r, func(m *meta) { m.by = nil })
	edit("scope edited", r, func(m *meta) { m.scope = new("team-b") })
	edit("scope removed", r, func(m *meta) { m.scope = nil })
	edit("created_by and scope exchanged", r, func(m *meta) { m.by, m.scope = m.scope, m.by })
	edit("bytes moved from created_by to scope", r, func(m *meta) { m.by, m.scope = new("alic"), new("eteam-a") })
	edit("rotation edited", r, func(m *meta) { *m.days = 91 })
	edit("rotation removed", r, func(m *meta) { m.days = nil })
	edit("tag's value edited", r, func(m *meta) { m.tags[0].value = "test" })
	edit("tag's key edited", r, func(m *meta) { m.tags[0].key = "enw" })
	edit("tag added", r, func(m *meta) { m.tags = append(m.tags, tag{"zone", ""}) })
	edit("tag removed", r, func(m *meta) { m.tags = m.tags[:1] })
	edit("all tags removed", r, func(m *meta) { m.tags = nil })
	edit("tags' values exchanged", r, func(m *meta) { m.tags[0].value, m.tags[1].value = m.tags[1].value, m.tags[0].value })
	edit("byte moved from a tag's key to its value", r, func(m *meta) { m.tags[0] = tag{"en", "vprod"} })
	edit("created_by normalised otherwise", sealed("nfc", func() meta { m := full(); m.by = new("ren\u00e9"); return m }()).object(),
		func(m *meta) { m.by = new("rene\u0301") })
	add := func(name string, change func(*meta)) {
		m := plain()
		change(&m)
		s.bad("metadata", name, least.with("metadata", m.object()).text())
	}
	add("last_accessed added", func(m *meta) { m.accessed = new(m.created) })
	add("created_by added", func(m *meta) { m.by = new("a") })
	add("scope added", func(m *meta) { m.scope = new("a") })
	add("rotation added", func(m *meta) { m.days = new(uint64(1)) })
	add("first tag added", func(m *meta) { m.tags = []tag{{"a", ""}} })
	m := full()
	m.by = nil
	moved := full()
	moved.by, moved.scope = moved.scope, nil
	s.bad("metadata", "scope made created_by", sealed("only a scope", m).object().with("metadata", moved.object()).text())
}

// recordStructure adds texts that a lenient JSON reader takes for the original record.
// Their seal fits the fields.
func (s *suite) recordStructure() {
	r := base().object()
	paths := []string{"version", "encrypted_data", "encrypted_data.version", "encrypted_data.key_id", "encrypted_data.commitment",
		"encrypted_data.nonce", "encrypted_data.ciphertext", "encrypted_data.tag", "metadata", "metadata.created_at",
		"metadata.last_modified", "metadata.last_accessed", "metadata.created_by", "metadata.scope", "metadata.rotation_policy",
		"metadata.rotation_policy.interval_days", "metadata.tags", "metadata.tags.env", "salt"}
	for _, path := range paths {
		s.bad("member", path+" missing", r.change(path, func(in object, i int) object { return slices.Delete(in, i, i+1) }).text())
		s.bad("member", path+" twice", r.change(path, func(in object, i int) object { return slices.Insert(in, i, in[i]) }).text())
		s.bad("member", path+" null", r.with(path, "null").text())
		s.bad("member", path+" twice, null first", r.change(path, func(in object, i int) object {
			return slices.Insert(in, i, member{in[i].name, "null"})
		}).text())
		s.bad("member", path+" in another case", r.change(path, func(in object, i int) object {
			in[i].name = strings.ToUpper(in[i].name[:1]) + in[i].name[1:]
			return in
		}).text())
		s.bad("member", path+" escaped", r.change(path, func(in object, i int) object {
			in[i].name = fmt.Sprintf(`\u%04x`, in[i].name[0]) + in[i].name[1:]
			return in
		}).text())
		if in, i := r.at(path); i+1 < len(in) {
			s.bad("member", path+" after its neighbour", r.change(path, func(in object, i int) object {
				in[i], in[i+1] = in[i+1], in[i]
				return in
			}).text())
		}
	}
	for _, last := range []string{"salt", "encrypted_data.tag", "metadata.tags", "metadata.rotation_policy.interval_days"} {
		for _, extra := range []member{{"extra", "1"}, {"", `""`}, {"extra", "null"}} {
			s.bad("member", fmt.Sprintf("more after %s: %q %v", last, extra.name, extra.value),
				r.change(last, func(in object, i int) object { return append(in, extra) }).text())
		}
		s.bad("member", "more before "+last, r.change(last, func(in object, i int) object {
			return slices.Insert(in, i, member{"extra", "{}"})
		}).text())
	}
	for _, path := range []string{"encrypted_data", "metadata", "metadata.rotation_policy", "metadata.tags"} {
		s.bad("member", path+" an array", r.with(path, "[]").text())
		s.bad("member", path+" a string", r.with(path, `"x"`).text())
	}

	text := r.text()
	for _, place := range []string{`{`, `"version"`, `:1`, `1`, `,"encrypted_data"`, `{"version":2`, `2,`, `"nonce":`, `},"metadata"`,
		`"metadata":`, `"rotation_policy":{`, `90`, `"tags":{`, `"env":`, `}},"salt"`, `"salt":`} {
		at := strings.Index(text, place) + len(place)
		s.bad("space", "a space after "+place, text[:at]+" "+text[at:])
	}
	for _, space := range []string{"\t", "\n", "\r", "\r\n", "\u00a0", "\u2028", "\ufeff", "\x00", "\v", "/**/"} {
		s.bad("space", fmt.Sprintf("%q within", space), strings.Replace(text, ",", ","+space, 1))
		s.bad("space", fmt.Sprintf("%q before", space), space+text)
		s.bad("space", fmt.Sprintf("%q after", space), text+space)
	}
	for _, tail := range []string{" ", "{}", text, "x", "}", ",", "null", "#"} {
		s.bad("tail", fmt.Sprintf("then %.8s", tail), text+tail)
	}
	s.bad("tail", "comma at the end of an object", strings.TrimSuffix(text, "}")+",}")
	for _, n := range []int{0, 1, 10, len(text) / 4, len(text) / 2, len(text) - len(text)/4, len(text) - 2, len(text) - 1} {
		s.bad("truncated", fmt.Sprintf("the first %d bytes", n), text[:n])
	}
	s.bad("truncated", "without the first byte", text[1:])
	s.bad("truncated", "UTF-16", strings.Join(strings.Split(text, ""), "\x00")+"\x00")
}
