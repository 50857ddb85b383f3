package main

import (
	"fmt"
	"slices"
	"strings"
)

// recordStrings adds texts that a writer must not write. If a JSON reader would take
// one for a string, that string is bound.
func (s *suite) recordStrings() {
	const class = "string"
	forms := []struct{ text, value string }{
		{`"a\u0041"`, "aA"}, {`"\u0061"`, "a"}, {`"a\/b"`, "a/b"}, {`"a\nb"`, "a\nb"}, {`"a\tb"`, "a\tb"}, {`"a\bb"`, "a\bb"},
		{`"a\fb"`, "a\fb"}, {`"a\rb"`, "a\rb"}, {`"a\u000ab"`, "a\nb"}, {`"\u0000"`, "\x00"}, {`"caf\u00e9"`, "caf\u00e9"},
		{`"\u2028"`, "\u2028"}, {`"\u003c"`, "<"}, {`"\u0022"`, `"`}, {`"\u005c"`, `\`}, {`"\ud83d\ude00"`, "\U0001f600"},
		{`"\ud800"`, "\ufffd"}, {`"\ude00\ud83d"`, "\ufffd\ufffd"}, {`"\u007f"`, "\x7f"}, {`"\u0085"`, "\u0085"},
		{"\"\x00\"", "\x00"}, {"\"\x01\"", "\x01"}, {"\"a\tb\"", "a\tb"}, {"\"a\nb\"", "a\nb"}, {"\"\x1f\"", "\x1f"}, {"\"\x7f\"", "\x7f"},
		{"\"\u0080\"", "\u0080"}, {"\"\u0085\"", "\u0085"}, {"\"\u009f\"", "\u009f"},
		{"\"\xff\"", "\xff"}, {"\"\x80\"", "\x80"}, {"\"\xc0\x80\"", "\xc0\x80"}, {"\"\xc1\xbf\"", "\xc1\xbf"}, {"\"\xe2\x82\"", "\xe2\x82"},
		{"\"\xe0\x80\xaf\"", "\xe0\x80\xaf"}, {"\"\xed\xa0\x80\"", "\xed\xa0\x80"}, {"\"\xed\xa0\xbd\xed\xb8\x80\"", "\xed\xa0\xbd\xed\xb8\x80"},
		{"\"\xf4\x90\x80\x80\"", "\xf4\x90\x80\x80"}, {"\"\xf5\x80\x80\x80\"", "\xf5\x80\x80\x80"}, {"\"\xc2\"", "\xc2"},
		{"\"a\xff\"", "a\ufffd"},
		{`"\x41"`, ""}, {`"\'"`, ""}, {`"\"`, ""}, {`'a'`, ""}, {`a`, ""}, {`"\u12"`, ""}, {`"\U0041"`, ""}, {`1`, "1"}, {`true`, "true"}, {`["a"]`, ""},
	}
	for _, f := range forms {
		m := full()
		m.by = &f.value
		s.bad(class, fmt.Sprintf("created_by %q for %q", f.text, f.value), sealed("by "+f.text+f.value, m).object().with("metadata.created_by", f.text).text())
	}
	for _, f := range forms[:4] {
		m := full()
		m.scope = &f.value
		s.bad(class, fmt.Sprintf("scope %q", f.text), sealed("scope "+f.text, m).object().with("metadata.scope", f.text).text())
	}
	// A writer leaves an empty field out, and never writes null.
	for _, field := range []string{"created_by", "scope"} {
		for _, text := range []string{`""`, "null"} {
			m := full()
			m.by, m.scope = new(""), new("")
			s.bad(class, field+" "+text+", bound as empty", sealed("empty", m).object().with("metadata."+field, text).text())
			absent := full()
			if field == "created_by" {
				absent.by = nil
			} else {
				absent.scope = nil
			}
			shown := full().object()
			for i := range shown {
				if shown[i].name == field {
					shown[i].value = text
				}
			}
			s.bad(class, field+" "+text+", bound as absent", sealed("absent "+field, absent).object().with("metadata", shown).text())
		}
	}

	for i, text := range []string{"a", `"`, `\`, `\\`, `\"`, `a"b\c`, `\u0041`, `\n`, "</script>&", "\u00a0", "\u2028\u2029", "\u200b", "\u202e",
		"\ufeff", "\ufffd", "\ufffe\uffff", "\U0010ffff", "\U0001f600\U0001f468\u200d\U0001f4bb", "caf\u00e9", "cafe\u0301", "\u1100\u1161",
		" leading and trailing ", "=", "-", "null", strings.Repeat("x", 4096), "\u00ff\u0100"} {
		m := plain()
		m.by, m.scope, m.tags = &text, &text, []tag{{"k" + fmt.Sprint(i), "v"}}
		s.ok(class, fmt.Sprintf("text %.20q", text), "text", []byte("v"), m)
	}
}

func (s *suite) recordTags() {
	const class = "tags"
	many := func(n int) (tags []tag) {
		for i := range n {
			tags = append(tags, tag{fmt.Sprintf("key%d", i), fmt.Sprint(i)})
		}
		return tags
	}
	family := "\U0001f468\u200d\U0001f469\u200d\U0001f467" // five characters
	for _, c := range []struct {
		name string
		tags []tag
	}{
		{"one", many(1)}, {"two", many(2)}, {"50", many(50)}, {"300", many(300)}, {"1024", many(1024)},
		{"order of bytes", []tag{{"b", ""}, {"a", ""}, {"B", ""}, {"A", ""}, {"aa", ""}, {"a.", ""}, {"_", ""}, {"0", ""}, {"10", ""}, {"2", ""},
			{"\u00e9", ""}, {"e\u0301", ""}, {"~", ""}, {" ", ""}, {`"`, ""}, {`\`, ""}, {"#", ""}}},
		{"order of bytes, not of UTF-16", []tag{{"\uff5e", "1"}, {"\U0001f600", "2"}, {"\ue000", "3"}}},
		{"a key that begins another", []tag{{"a", ""}, {"a\u00a0", ""}, {"ab", ""}}},
		{"empty value", []tag{{"k", ""}}},
		{"quotes and backslashes", []tag{{`"`, `"`}, {`\`, `\`}, {`"\"`, `\"\`}}},
		{"separators and no-break spaces", []tag{{"\u2028", "\u2029"}, {"\u00a0", "\u00a0"}, {"\u3000", "\u200b"}}},
		{"emoji", []tag{{"\U0001f511", "\U0001f600"}, {family, family}}},
		{"not normalised", []tag{{"\u00e9", "1"}, {"e\u0301", "2"}, {"\u212b", "3"}, {"\u00c5", "4"}}},
		{"= in the value, - within the key", []tag{{"a-b", "a=b-"}, {"-a", ""}}},
		{"128 and 256 characters", []tag{{strings.Repeat("k", 128), strings.Repeat("v", 256)}}},
		{"128 and 256 characters of 2 bytes", []tag{{strings.Repeat("\u00e9", 128), strings.Repeat("\u00e9", 256)}}},
		{"128 and 256 characters of 4 bytes", []tag{{strings.Repeat("\U0001f600", 128), strings.Repeat("\U0001f600", 256)}}},
		{"128 and 256 combining characters", []tag{{strings.Repeat("e\u0301", 64), strings.Repeat("e\u0301", 128)}}},
		{"reserved elsewhere", []tag{{"aws:name", "x"}, {"__proto__", "y"}, {"constructor", "z"}, {"nebula", "n"}}},
	} {
		m := plain()
		m.tags = c.tags
		s.ok(class, c.name, "tagged", []byte("v"), m)
	}

	for _, c := range []struct {
		name       string
		key, value string
	}{
		{"= in the key", "a=b", ""}, {"= alone", "=", ""}, {"key ends in -", "a-", ""}, {"key is -", "-", ""}, {"empty key", "", "v"},
		{"129 characters in the key", strings.Repeat("k", 129), ""}, {"129 characters of 2 bytes in the key", strings.Repeat("\u00e9", 129), ""},
		{"130 combining characters in the key", strings.Repeat("e\u0301", 65), ""},
		{"257 characters in the value", "k", strings.Repeat("v", 257)}, {"257 characters of 4 bytes in the value", "k", strings.Repeat("\U0001f600", 257)},
		{"newline in the key", "a\nb", ""}, {"NUL in the value", "k", "\x00"}, {"DEL in the value", "k", "\x7f"}, {"C1 in the key", "a\u0085", ""},
		{"C1 in the value", "k", "\u009f"}, {"key not UTF-8", "k\xff", ""}, {"value not UTF-8", "k", "\xed\xa0\x80"},
	} {
		m := full()
		m.tags = []tag{{c.key, c.value}}
		s.bad(class, c.name, sealed("tag "+c.name, m).object().text())
	}

	over := full()
	over.tags = many(1025)
	s.bad(class, "1025", sealed("1025 tags", over).object().text())

	// The additional data has each tag once and in order; the text does not.
	shown := func(name string, bound, shown []tag) {
		m := full()
		m.tags = bound
		r := sealed("shown "+name, m).object()
		m.tags = shown
		s.bad(class, name, r.with("metadata", m.object()).text())
	}
	a, b := tag{"a", "1"}, tag{"b", "2"}
	shown("descending", []tag{a, b}, []tag{b, a})
	shown("one of three out of order", []tag{a, b, {"c", "3"}}, []tag{a, {"c", "3"}, b})
	shown("in the order of UTF-16", []tag{{"\uff5e", "1"}, {"\U0001f600", "2"}}, []tag{{"\U0001f600", "2"}, {"\uff5e", "1"}})
	shown("in the order of letters", []tag{{"B", "1"}, {"a", "2"}}, []tag{{"a", "2"}, {"B", "1"}})
	shown("by length", []tag{{"aa", "1"}, {"b", "2"}}, []tag{{"b", "2"}, {"aa", "1"}})
	shown("by number", []tag{{"k10", "1"}, {"k2", "2"}}, []tag{{"k2", "2"}, {"k10", "1"}})
	shown("twice, bound once", []tag{a}, []tag{a, a})
	shown("twice, the last bound", []tag{a}, []tag{{"a", "0"}, a})
	shown("twice, the first bound", []tag{a}, []tag{a, {"a", "0"}})
	shown("twice, both bound", []tag{a, a}, []tag{a, a})

	m := full()
	m.tags = []tag{{"k", "1"}}
	r := sealed("values", m).object()
	for _, value := range []string{"1", "true", `["1"]`, "{}", `"\u0031"`, "null", "1.0"} {
		s.bad(class, "value "+value, r.with("metadata.tags.k", value).text())
	}
	m.tags[0].value = ""
	r = sealed("empty value", m).object()
	s.bad(class, "value null for an empty one", r.with("metadata.tags.k", "null").text())
	m.tags = nil
	r = sealed("no tags", m).object()
	s.bad(class, "none, null", r.with("metadata.tags", "null").text())
	s.bad(class, "none, an array", r.with("metadata.tags", "[]").text())
	s.bad(class, "none, left out", r.change("metadata.tags", func(in object, i int) object { return slices.Delete(in, i, i+1) }).text())
	s.bad(class, "none, a comma", r.with("metadata.tags", "{,}").text())
}

// recordIntegers adds every other form of the three integers of a record.
func (s *suite) recordIntegers() {
	const class = "integer"
	r := base().object()
	forms := func(n string) []string {
		return []string{n + ".0", n + "e0", n + "E0", "0" + n, "+" + n, "-" + n, "0", "-0", "0" + n + ".0", `"` + n + `"`, "true", "null", "[" + n + "]", "{}", "0x" + n, n + "_0", n + "n", ""}
	}
	for _, c := range [][2]string{{"version", "1"}, {"encrypted_data.version", "2"}, {"metadata.rotation_policy.interval_days", "90"}} {
		for _, form := range forms(c[1]) {
			s.bad(class, c[0]+" "+or(form, "left empty"), r.with(c[0], form).text())
		}
	}
	for _, form := range []string{"9e1", "90.00", "900e-1", "089", "4294967296", "4294967386", "18446744073709551706", "99999999999999999999999999"} {
		s.bad(class, "interval_days "+form, r.with("metadata.rotation_policy.interval_days", form).text())
	}
	for _, days := range []uint64{0, 1 << 32} {
		m := full()
		m.days = &days
		s.bad(class, fmt.Sprintf("interval_days %d, bound", days), sealed("days", m).object().text())
	}
	m := full()
	m.days = nil
	r = sealed("no policy", m).object()
	for _, policy := range []string{"null", "{}", `{"interval_days":0}`, `{"interval_days":null}`} {
		s.bad(class, "rotation_policy "+policy+", bound as absent", r.change("metadata.tags", func(in object, i int) object {
			return slices.Insert(in, i, member{"rotation_policy", policy})
		}).text())
	}
}
