package canon

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func readUint(text string, limit uint64) (uint64, bool) {
	r := NewReader([]byte(text))
	n := r.Uint(limit)
	return n, r.Done()
}

func TestUint(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit uint64
		ok    bool
	}{
		{"0", 0, true}, {"1", 0, false}, {"9", 9, true}, {"10", 9, false}, {"9", 8, false}, {"99", 100, true}, {"100", 100, true}, {"101", 100, false},
		{"4294967295", math.MaxUint32, true}, {"4294967296", math.MaxUint32, false}, {"42949672950", math.MaxUint32, false},
		{"9007199254740991", 1<<53 - 1, true}, {"9007199254740992", 1<<53 - 1, false},
		{"18446744073709551615", math.MaxUint64, true}, {"18446744073709551616", math.MaxUint64, false}, {"99999999999999999999999", math.MaxUint64, false},
		{"", 9, false}, {"00", 9, false}, {"01", 9, false}, {"+1", 9, false}, {"-1", 9, false}, {"-0", 9, false}, {"1.0", 9, false}, {"1e0", 9, false},
		{" 1", 9, false}, {"1 ", 9, false}, {"x", 9, false}, {"\u0661", 9, false}, {`"1"`, 9, false},
	} {
		n, ok := readUint(c.text, c.limit)
		if ok != c.ok || ok && string(AppendUint(nil, n)) != c.text {
			t.Errorf("%q of at most %d: %d, %v", c.text, c.limit, n, ok)
		}
	}
}

func TestUintAtEveryBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit, n := rapid.Uint64().Draw(t, "limit"), rapid.Uint64().Draw(t, "n")
		if rapid.Bool().Draw(t, "near") {
			n = limit + rapid.SampledFrom([]uint64{0, 1, math.MaxUint64}).Draw(t, "step")
		}
		got, ok := readUint(strconv.FormatUint(n, 10), limit)
		if ok != (n <= limit) || ok && got != n {
			t.Fatalf("%d of at most %d: %d, %v", n, limit, got, ok)
		}
	})
}

// checkString: whatever the bytes are, the reader accepts them as a string only if the
// writer would write them like that.
func checkString(t interface{ Fatalf(string, ...any) }, data []byte) bool {
	r := NewReader(data)
	s := r.String()
	if !r.Done() {
		return false
	}
	if again := AppendString(nil, s); !bytes.Equal(again, data) {
		t.Fatalf("%q was read, %q is written", data, again)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || 0x7f <= r && r < 0xa0 }) {
		t.Fatalf("%q was read from %q", s, data)
	}
	return true
}

// Of all code points, exactly the control characters and those that are not valid are
// refused.
func TestStringOfEveryRune(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		valid := utf8.ValidRune(r) && r >= 0x20 && (r < 0x7f || r > 0x9f)
		text := AppendString(nil, "a"+string(r)+"b")
		if !utf8.ValidRune(r) {
			text = []byte{'"', 0xe0 | byte(r>>12), 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f), '"'}
		}
		if checkString(t, text) != valid {
			t.Errorf("U+%04X: %q", r, text)
		}
	}
}

// The reader accepts a string of up to two bytes, or of three with a quote, if the
// writer would write it like that, and refuses every other.
func TestStringOfFewBytes(t *testing.T) {
	taken := 0
	for a := range 256 {
		for b := range 256 {
			for _, text := range [][]byte{{'"', byte(a), byte(b)}, {'"', byte(a), byte(b), '"'}, {'"', '\\', byte(a), byte(b), '"'}, {byte(a), byte(b), '"'}} {
				if checkString(t, text) {
					taken++
				}
			}
		}
	}
	if taken < 93*93 {
		t.Errorf("%d strings were accepted", taken)
	}
}

func readBase64(text string) ([]byte, bool) {
	r := NewReader([]byte(text))
	b := r.Base64(nil)
	return b, r.Done()
}

func TestBase64(t *testing.T) {
	for _, text := range []string{`""`, `"AA=="`, `"AAA="`, `"AAAA"`, `"+/+/"`, `"/w=="`} {
		if b, ok := readBase64(text); !ok || string(AppendBase64(nil, b)) != text {
			t.Errorf("%s: %x, %v", text, b, ok)
		}
	}
	for _, text := range []string{``, `"`, `"A"`, `"AA"`, `"AAA"`, `"AA="`, `"AB=="`, `"AAB="`, `"AA==="`, `"AAAA===="`, `"AA==AAAA"`, `"-_-_"`, "\"AA\n==\"", "\"AAAA\n\"",
		"\"\nAAAA\"", "\"AA\r\n==\"", "\"\r\"", "\"\n\"", "\"\n\n\n\n\"", "\"AAA\n\"", "\"AA\n\n\"", "\"AA=\n=\"", "\"AA==\n\n\n\n\"", `" AAAA"`, `"AA A="`, `"AA\u0041A"`, `"AAAA`, `AAAA"`, `"===="`, `"A==="`} {
		if b, ok := readBase64(text); ok {
			t.Errorf("%q is taken for %x", text, b)
		}
	}
}

// Fixed accepts its own length only, whatever the length.
func TestFixed(t *testing.T) {
	for want := range 49 {
		for length := range 64 {
			in := bytes.Repeat([]byte{0xa5}, length)
			r := NewReader(AppendBase64(nil, in))
			out := make([]byte, want)
			r.Fixed(out)
			if r.Done() != (want == length) || r.Done() && !bytes.Equal(in, out) {
				t.Errorf("%d bytes for %d: %x, %v", length, want, out, r.Done())
			}
		}
	}
}

func readTime(text string) (time.Time, bool) {
	r := NewReader([]byte(`"` + text + `"`))
	at := r.Time()
	return at, r.Done()
}

// Every day from 1970 to 9999 is accepted. Every other day that can be written is
// refused.
func TestTimeOfEveryDay(t *testing.T) {
	var buffer [32]byte
	days := 0
	for year := 1969; year <= 9999; year++ {
		if year > 2110 && year < 9990 && year%100 != 0 && year%4 != 0 {
			continue
		}
		for month := 0; month <= 13; month++ {
			for day := 0; day <= 32; day++ {
				text := pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T00:00:00Z"
				want, err := time.Parse(time.RFC3339, text)
				valid := err == nil && year >= 1970
				at, ok := readTime(text)
				if ok != valid || ok && (!at.Equal(want) || string(AppendTime(buffer[:0], at)) != text) {
					t.Errorf("%s: %v, %v", text, at, ok)
				}
				if ok {
					days++
				}
			}
		}
	}
	if days < 700_000 {
		t.Errorf("%d days were accepted", days)
	}
}

func pad(n, width int) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", width-len(s)) + s
}

func TestTimeOfEverySecond(t *testing.T) {
	for hour := range 100 {
		for minute := range 100 {
			for _, second := range []int{0, 1, 30, 58, 59, 60, 61, 99} {
				text := "2026-01-02T" + pad(hour, 2) + ":" + pad(minute, 2) + ":" + pad(second, 2) + "Z"
				if _, ok := readTime(text); ok != (hour < 24 && minute < 60 && second < 60) {
					t.Errorf("%s: %v", text, ok)
				}
			}
		}
	}
}

func TestTimeRoundTrip(t *testing.T) {
	latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, latest).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
		at = at.Truncate(rapid.SampledFrom([]time.Duration{1, time.Microsecond, time.Millisecond, time.Second}).Draw(t, "step"))
		at = at.In(time.FixedZone("", rapid.IntRange(-86399, 86399).Draw(t, "zone")))
		text := string(AppendTime(nil, at))
		again, ok := readTime(text)
		if !ok || !again.Equal(at) {
			t.Fatalf("%s: %v, %v", text, again, ok)
		}
		if digits := len(text) - len("2006-01-02T15:04:05Z"); digits != 0 && digits != 4 && digits != 7 && digits != 10 ||
			digits > 0 && strings.HasSuffix(text, "000Z") {
			t.Fatalf("%s has more digits than it needs", text)
		}
	})
}

// After a deviation the reader reads nothing more, and Done stays false.
func TestNothingAfterAFailure(t *testing.T) {
	r := NewReader([]byte(`"text"12"AAAA""2026-01-02T03:04:05Z"`))
	r.Expect("x")
	out := []byte{9}
	r.Fixed(out)
	if r.String() != "" || r.Uint(99) != 0 || len(r.Base64(nil)) != 0 || !r.Time().IsZero() || r.Accept(`"`) || r.Done() || !r.Failed() || r.Offset() != 0 || out[0] != 9 {
		t.Error("the reader read on after a failure")
	}
	r = NewReader([]byte("12"))
	if r.Uint(99); !r.Done() {
		t.Error("12 was not read")
	}
	if r.Fail(); r.Done() {
		t.Error("Fail was forgotten")
	}
}
