package canon

import (
	"bytes"
	"testing"
)

// seeds returns texts of every kind, right and wrong.
func seeds() []string {
	return []string{`"text"`, `"\"\\"`, `"é😀"`, "\"\u2028\"", "\"\u0085\"", `"\u0041"`, `"`, `"\`, "\"\xff\"", `"AA=="`, `"AAA="`, "\"AA\n==\"", `"AB=="`, `""`,
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.123Z"`, `"2026-01-02T03:04:05.123456Z"`, `"2026-01-02T03:04:05.123456789Z"`,
		`"2026-02-29T03:04:05Z"`, `"2026-01-02T03:04:05.120000Z"`, `"9999-12-31T23:59:59.999999999Z"`, `0`, `4294967295`, `18446744073709551615`, `00`, `1.0`, ``}
}

func addSeeds(f *testing.F) {
	all := seeds()
	if len(all) < 25 {
		f.Fatalf("the corpus has %d seeds", len(all))
	}
	for _, s := range all {
		f.Add([]byte(s))
	}
}

// FuzzReader: whatever a method accepts as a whole is what the writer writes.
func FuzzReader(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkString(t, data)
		same := func(what string, r *Reader, again []byte) {
			if r.Done() && !bytes.Equal(again, data) {
				t.Fatalf("%s: %q was read, %q is written", what, data, again)
			}
		}
		r := NewReader(data)
		same("base64", r, AppendBase64(nil, r.Base64(nil)))
		r = NewReader(data)
		same("integer", r, AppendUint(nil, r.Uint(1<<64-1)))
		for _, size := range []int{0, 1, 12, 16, 32, 48} {
			r = NewReader(data)
			out := make([]byte, size)
			r.Fixed(out)
			same("fixed", r, AppendBase64(nil, out))
		}
	})
}

// FuzzTime is the same for times.
func FuzzTime(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(data)
		at := r.Time()
		if !r.Done() {
			return
		}
		if year := at.Year(); year < 1970 || year > 9999 {
			t.Fatalf("%q is taken for %v", data, at)
		}
		if again := append(AppendTime([]byte{'"'}, at), '"'); !bytes.Equal(again, data) {
			t.Fatalf("%q was read, %q is written", data, again)
		}
	})
}
