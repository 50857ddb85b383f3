package main

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// sealedUntil tries other salts until the text of the field has one of the characters.
func sealedUntil(label, path, characters string) object {
	for i := 0; ; i++ {
		r := sealed(fmt.Sprint(label, i), full()).object()
		if strings.ContainsAny(r.get(path), characters) {
			return r
		}
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// recordBase64 adds the right bytes in wrong encodings, and seals made with fields of
// another length.
func (s *suite) recordBase64() {
	const class = "base64"
	for _, path := range binaryFields() {
		r := base().object()
		text := strings.Trim(r.get(path), `"`)
		put := func(name, text string) { s.bad(class, path+" "+name, r.with(path, `"`+text+`"`).text()) }
		bare := strings.TrimRight(text, "=")
		if bare != text {
			put("unpadded", bare)
			put("with half its padding or more", bare+strings.Repeat("=", 3-len(text)+len(bare)))
			last := strings.IndexByte(alphabet, bare[len(bare)-1])
			put("with trailing bits", bare[:len(bare)-1]+alphabet[last+1:last+2]+text[len(bare):])
		}
		put("padded too much", text+"=")
		put("padded by a block", text+"====")
		put("with a newline inside", text[:4]+"\n"+text[4:])
		put("with an escaped newline inside", text[:4]+`\n`+text[4:])
		put("with a carriage return at the end", text+"\r")
		put("with a newline at the end", text+"\n")
		put("with a space inside", text[:4]+" "+text[4:])
		put("with a byte that is not base64", text[:4]+"*"+text[5:])
		put("with padding inside", text[:4]+"===="+text[4:])
		put("with its first letter escaped", fmt.Sprintf(`\u%04x`, text[0])+text[1:])
		put("in hex", hexed(decoded(r.get(path))))
		s.bad(class, path+" as numbers", r.with(path, strings.ReplaceAll(fmt.Sprint(decoded(r.get(path))), " ", ",")).text())
		if path != "encrypted_data.ciphertext" {
			put("empty", "")
			b := decoded(r.get(path))
			put("a byte short", strings.Trim(b64(b[:len(b)-1]), `"`))
			put("a byte long", strings.Trim(b64(append(b, 0)), `"`))
		}
		if path == "encrypted_data.key_id" {
			continue // there is only one key, and its id has no such character
		}
		url := sealedUntil("url alphabet", path, "+/")
		s.bad(class, path+" in the alphabet for URLs", url.with(path, strings.NewReplacer("+", "-", "/", "_").Replace(url.get(path))).text())
		solidus := sealedUntil("solidus", path, "/")
		s.bad(class, path+" with / escaped", solidus.with(path, strings.ReplaceAll(solidus.get(path), "/", `\/`)).text())
	}
	for _, size := range []struct{ salt, nonce, tag int }{
		{salt: 15}, {salt: 17}, {salt: 32}, {nonce: 8}, {nonce: 11}, {nonce: 13}, {nonce: 16}, {tag: 12}, {tag: 15},
	} {
		in := &input{name: baseID, key: dataKey(), plaintext: []byte("v"), meta: full(), label: "size",
			saltSize: size.salt, nonceSize: size.nonce, tagSize: size.tag}
		s.bad("length", fmt.Sprintf("sealed with salt, nonce, tag of %d, %d, %d (0: right)", size.salt, size.nonce, size.tag), in.seal().object().text())
	}
	short := &input{name: baseID, key: dataKey(), plaintext: []byte("v"), meta: full(), label: "size", keyID: keyID(dataKey())[:15]}
	s.bad("length", "sealed with a key id of 15", short.seal().object().text())
	r := base().object()
	ciphertext := strings.Trim(r.get("encrypted_data.ciphertext"), `"`)
	s.bad("length", "tag at the end of the ciphertext", r.with("encrypted_data.tag", `""`).with("encrypted_data.ciphertext",
		b64(append(decoded(`"`+ciphertext+`"`), decoded(r.get("encrypted_data.tag"))...))).text())
}

// recordTimes seals each wrong form. If there is a right form for it, it seals it
// twice: with the wrong text bound, and with the right text bound. A reader that does
// not check the form opens the first. A reader that parses the time and formats it
// again opens the second.
func (s *suite) recordTimes() {
	const day = "2026-01-02T03:04:05"
	for _, form := range []struct{ wrong, right string }{
		{"2026-01-02t03:04:05Z", day + "Z"}, {day + "z", day + "Z"}, {"2026-01-02 03:04:05Z", day + "Z"}, {"2026-01-02_03:04:05Z", ""},
		{day + ",123Z", day + ".123Z"}, {day + ".Z", day + "Z"}, {day + ".1Z", day + ".100Z"}, {day + ".12Z", day + ".120Z"},
		{day + ".1234Z", day + ".123400Z"}, {day + ".12345Z", day + ".123450Z"}, {day + ".1234567Z", day + ".123456700Z"},
		{day + ".12345678Z", day + ".123456780Z"}, {day + ".1234567891Z", day + ".123456789Z"}, {day + ".123456789012Z", day + ".123456789Z"},
		{day + ".000Z", day + "Z"}, {day + ".000000Z", day + "Z"}, {day + ".000000000Z", day + "Z"}, {day + ".123000Z", day + ".123Z"},
		{day + ".123456000Z", day + ".123456Z"}, {day + ".123000000Z", day + ".123Z"}, {day + ".+12Z", ""}, {day + ". 12Z", ""}, {day + ".12aZ", ""},
		{day + "+00:00", day + "Z"}, {day + "-00:00", day + "Z"}, {"2026-01-02T04:04:05+01:00", day + "Z"}, {day, day + "Z"}, {day + "ZZ", ""},
		{day + "Z ", day + "Z"}, {" " + day + "Z", day + "Z"}, {day + ".123Z0", ""}, {"", ""},
		{"2100-02-29T00:00:00Z", "2100-03-01T00:00:00Z"}, {"2026-02-29T00:00:00Z", "2026-03-01T00:00:00Z"}, {"1900-02-29T00:00:00Z", ""},
		{"2024-02-30T00:00:00Z", "2024-03-01T00:00:00Z"}, {"2026-04-31T00:00:00Z", "2026-05-01T00:00:00Z"}, {"2026-00-10T00:00:00Z", ""},
		{"2026-13-01T00:00:00Z", "2027-01-01T00:00:00Z"}, {"2026-01-00T00:00:00Z", "2025-12-31T00:00:00Z"}, {"2026-01-32T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"1969-12-31T23:59:59Z", ""}, {"1969-12-31T23:59:59.999999999Z", ""}, {"0001-01-01T00:00:00Z", ""}, {"0000-01-01T00:00:00Z", ""},
		{"10000-01-01T00:00:00Z", ""}, {"+2026-01-02T03:04:05Z", ""}, {"-026-01-02T03:04:05Z", ""}, {"226-01-02T03:04:05Z", ""},
		{"2026-01-02T24:00:00Z", "2026-01-03T00:00:00Z"}, {"2026-01-02T23:60:00Z", "2026-01-03T00:00:00Z"},
		{"2026-01-02T23:59:60Z", "2026-01-03T00:00:00Z"}, {"2026-01-02T03:04:60Z", "2026-01-02T03:05:00Z"},
		{"2026-01-02T03:04:99Z", "2026-01-02T03:05:39Z"}, {"2026-01-02T03:60:00Z", "2026-01-02T04:00:00Z"}, {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
		{"2026-1-2T3:4:5Z", day + "Z"}, {"2026-01-02T3:04:05Z", day + "Z"}, {"2026-01-02T03:04Z", ""}, {"20260102T030405Z", day + "Z"},
		{"2026-W01-5T03:04:05Z", ""}, {"2026-01-02", ""}, {"1767323045", ""}, {"\uff12\uff10\uff12\uff16-01-02T03:04:05Z", ""},
		{"2026/01/02T03:04:05Z", ""}, {"2026-01-02T03.04.05Z", ""}, {"2026-01-02T03:04:0\u0665Z", ""},
	} {
		m := full()
		m.modified = form.wrong
		s.bad("time", fmt.Sprintf("last_modified %q, bound as written", form.wrong), sealed("time "+form.wrong, m).object().text())
		if form.right != "" {
			m.modified = form.right
			r := sealed("time right "+form.wrong, m).object()
			s.bad("time", fmt.Sprintf("last_modified %q, its right form bound", form.wrong), r.with("metadata.last_modified", quote(form.wrong)).text())
		}
	}
	for _, wrong := range []string{day + ".1Z", day + "z", "2026-02-29T00:00:00Z", "1969-12-31T23:59:59Z", ""} {
		m := full()
		m.created = wrong
		s.bad("time", fmt.Sprintf("created_at %q", wrong), sealed("created "+wrong, m).object().text())
		m = full()
		m.accessed = &wrong
		s.bad("time", fmt.Sprintf("last_accessed %q", wrong), sealed("accessed "+wrong, m).object().text())
	}
	r := base().object()
	for _, value := range []string{"1767323045", `"2026\u002d02-03T04:05:06.123456Z"`, "{}", "[]", "true"} {
		s.bad("time", "last_modified "+value, r.with("metadata.last_modified", value).text())
	}
	m := full()
	m.accessed = nil
	r = sealed("without access", m).object()
	for _, value := range []string{"null", `""`, `"0001-01-01T00:00:00Z"`} {
		s.bad("time", "last_accessed "+value+", bound as absent", r.change("metadata.created_by", func(in object, i int) object {
			return append(append(append(object{}, in[:i]...), member{"last_accessed", value}), in[i:]...)
		}).text())
	}
}

func unpadded(b []byte) string { return `"` + base64.RawStdEncoding.EncodeToString(b) + `"` }
