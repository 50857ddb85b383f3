package jsonread_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/internal/jsonread"
)

// readText reads a text that is one string.
func readText(data []byte) ([]byte, bool) {
	r := jsonread.New(data)
	b := r.Bytes()
	return b, r.Done()
}

func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		`""`: "", `"a"`: "a", ` "a" `: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9é\u20ac"`: "éé€", `"\ud83d\ude00"`: "😀", `"\u0000"`: "\x00",
	} {
		if got, ok := readText([]byte(text)); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		``, `"`, `"a`, `a`, `"a"b`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u123g"`, `"\ud800"`, `"\ud800\u0041"`, `"\ude00"`, "\"\xff\"", "\"\n\"", `'a'`, `null`, `1`, `"a" "b"`,
	} {
		if got, ok := readText([]byte(text)); ok {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// A string is read into one piece of memory, so wiping it leaves nothing behind.
func TestBytesDoNotGrow(t *testing.T) {
	text := []byte(`"` + string(bytes.Repeat([]byte(`abc\u00e9\n`), 1000)) + `"`)
	if n := testing.AllocsPerRun(10, func() { jsonread.New(text).Bytes() }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// The reader reads what encoding/json reads.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`"a"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud800"`, "\"\xff\"", `"\\"`, `"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := readText(data)
		if !ok {
			return
		}
		var want string
		if err := json.Unmarshal(data, &want); err != nil || string(got) != want || !utf8.Valid(got) {
			t.Errorf("%q: %q, %q, %v", data, got, want, err)
		}
	})
}

// The reader skips JSON, all of it, and nothing else.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e+3,{"b":null}],"c":true}`, `[]`, `[[]`, `{"a"}`, `01`, `-`, `1.`, `"\ud800"`, `[1,]`, `nul`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := jsonread.New(data)
		r.Skip()
		if ok := r.Done(); ok != json.Valid(data) {
			t.Errorf("%q: %v, and encoding/json says %v", data, ok, !ok)
		}
	})
}

func TestIntegers(t *testing.T) {
	for _, test := range []struct {
		text          string
		uint, integer bool
	}{
		{"0", true, true}, {" 42 ", true, true}, {"4294967295", true, true},
		{"0.0", false, true}, {"42.000", false, true},
		{"42.", false, false}, {"42.10", false, false}, {"42.01", false, false}, {"42 .0", false, false}, {"1e3", false, false}, {"1.0e3", false, false},
		{"4294967296", false, false}, {"18446744073709551616", false, false}, {"-1", false, false}, {"01", false, false}, {"", false, false}, {".0", false, false}, {`"1"`, false, false},
	} {
		r := jsonread.New([]byte(test.text))
		if n := r.Uint(4294967295); r.Done() != test.uint || test.text == " 42 " && n != 42 {
			t.Errorf("Uint of %q: %d, %v", test.text, n, !test.uint)
		}
		r = jsonread.New([]byte(test.text))
		if n := r.Integer(4294967295); r.Done() != test.integer || test.text == "42.000" && n != 42 {
			t.Errorf("Integer of %q: %d, %v", test.text, n, !test.integer)
		}
	}
}
