package canon

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

// Reader follows a canonical encoding. After the first deviation every method
// returns a zero value and [Reader.Done] reports false: callers read to the
// end and ask once.
type Reader struct {
	data []byte
	pos  int
	bad  bool
}

// NewReader returns a Reader of data, which must not change while it is read.
func NewReader(data []byte) *Reader { return &Reader{data: data} }

// Done reports whether all of the data was read and all of it was canonical.
func (r *Reader) Done() bool { return !r.bad && r.pos == len(r.data) }

// Failed reports whether a deviation was met.
func (r *Reader) Failed() bool { return r.bad }

// Fail marks the data as not canonical, for rules that the Reader cannot know.
func (r *Reader) Fail() { r.bad = true }

// Offset returns the number of bytes read so far.
func (r *Reader) Offset() int { return r.pos }

// Expect reads exactly text.
func (r *Reader) Expect(text string) {
	if !r.Accept(text) {
		r.bad = true
	}
}

// Accept reads text if it comes next, and reports whether it did.
func (r *Reader) Accept(text string) bool {
	if r.bad || len(r.data)-r.pos < len(text) || string(r.data[r.pos:r.pos+len(text)]) != text {
		return false
	}
	r.pos += len(text)
	return true
}

// Uint reads an integer of at most max, without sign or leading zero.
func (r *Reader) Uint(max uint64) uint64 {
	start := r.pos
	var n uint64
	for r.pos < len(r.data) && '0' <= r.data[r.pos] && r.data[r.pos] <= '9' {
		digit := uint64(r.data[r.pos] - '0')
		if n > (max-min(digit, max))/10 || digit > max {
			r.bad = true
			return 0
		}
		n = n*10 + digit
		r.pos++
	}
	length := r.pos - start
	if r.bad || length == 0 || length > 1 && r.data[start] == '0' {
		r.bad = true
		return 0
	}
	return n
}

// String reads a string in quotes: valid UTF-8, no control characters, only
// \" and \\ escaped.
func (r *Reader) String() string {
	if !r.Accept(`"`) {
		r.bad = true
		return ""
	}
	start, escaped := r.pos, false
	for ; r.pos < len(r.data); r.pos++ {
		switch c := r.data[r.pos]; {
		case c == '"':
			text := r.data[start:r.pos]
			r.pos++
			return r.text(text, escaped)
		case c == '\\':
			escaped = true
			r.pos++
			if r.pos == len(r.data) || r.data[r.pos] != '"' && r.data[r.pos] != '\\' {
				r.bad = true
				return ""
			}
		case c < 0x20 || c == 0x7f:
			r.bad = true
			return ""
		case c == 0xc2 && r.pos+1 < len(r.data) && r.data[r.pos+1] < 0xa0: // U+0080 to U+009F
			r.bad = true
			return ""
		}
	}
	r.bad = true
	return ""
}

func (r *Reader) text(raw []byte, escaped bool) string {
	if !utf8.Valid(raw) {
		r.bad = true
		return ""
	}
	if !escaped {
		return string(raw)
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// Base64 reads base64 in quotes and appends the bytes to dst.
func (r *Reader) Base64(dst []byte) []byte {
	if !r.Accept(`"`) {
		r.bad = true
		return dst
	}
	length := bytes.IndexByte(r.data[r.pos:], '"')
	if length < 0 {
		r.bad = true
		return dst
	}
	text := r.data[r.pos : r.pos+length]
	r.pos += length + 1

	before := len(dst)
	dst, err := strict.AppendDecode(dst, text)
	// The decoder skips newlines: then the length of the text is not that of
	// the bytes.
	if err != nil || strict.EncodedLen(len(dst)-before) != len(text) {
		r.bad = true
		return dst[:before]
	}
	return dst
}

// Fixed reads base64 in quotes of exactly len(dst) bytes, at most 48, into dst.
func (r *Reader) Fixed(dst []byte) {
	var buffer [51]byte // the decoder asks for room for the padding too
	decoded := r.Base64(buffer[:0])
	if len(decoded) != len(dst) {
		r.bad = true
		return
	}
	copy(dst, decoded)
}

// strict refuses trailing bits that are not zero. It is never changed.
var strict = base64.StdEncoding.Strict()

// Time reads a time in quotes in the form of [AppendTime].
func (r *Reader) Time() time.Time {
	if !r.Accept(`"`) {
		r.bad = true
		return time.Time{}
	}
	const maxTime = len("2006-01-02T15:04:05.000000000Z")
	window := r.data[r.pos:min(len(r.data), r.pos+maxTime+1)]
	length := bytes.IndexByte(window, '"')
	t, ok := parseTime(window[:max(length, 0)])
	if r.bad || !ok {
		r.bad = true
		return time.Time{}
	}
	r.pos += length + 1
	return t
}

func parseTime(s []byte) (time.Time, bool) {
	const date = len("2006-01-02T15:04:05")
	if len(s) < date+1 || s[len(s)-1] != 'Z' ||
		s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	ns, ok7 := parseFraction(s[date : len(s)-1])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || year < 1970 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, ns, time.UTC)
	// A day that the month does not have became one of the next month.
	return t, month >= 1 && t.Month() == time.Month(month) && day >= 1 && t.Day() == day
}

// parseFraction reads nothing, or a point and 3, 6 or 9 digits of which the
// last three are not all zero, and returns nanoseconds.
func parseFraction(s []byte) (int, bool) {
	switch len(s) {
	case 0:
		return 0, true
	case 4, 7, 10:
	default:
		return 0, false
	}
	n, ok := digits(s[1:])
	if s[0] != '.' || !ok || n%1000 == 0 {
		return 0, false
	}
	for range (10 - len(s)) / 3 {
		n *= 1000
	}
	return n, true
}

func digits(s []byte) (int, bool) {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
