// Package jsonread reads JSON strictly, and values into bytes that can be wiped.
// encoding/json differs: it accepts duplicate members, members that differ by
// case, lone surrogates and invalid UTF-8, and makes strings of values.
package jsonread

import "unicode/utf8"

// Reader reads one JSON text. After the first failure every method does nothing, so
// that callers ask once, at the end.
type Reader struct {
	data   []byte
	at     int
	failed bool
}

// New returns a reader of data, which must not be changed meanwhile.
func New(data []byte) *Reader { return &Reader{data: data} }

// Failed reports whether there was a failure.
func (r *Reader) Failed() bool { return r.failed }

// Fail says that the text is not what the caller expects.
func (r *Reader) Fail() {
	r.failed = true
	r.at = len(r.data)
}

// Peek skips white space and returns the next byte, and 0 at the end.
func (r *Reader) Peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// Accept reads c, if that comes next, and reports whether it did.
func (r *Reader) Accept(c byte) bool {
	if r.Peek() != c || r.at == len(r.data) {
		return false
	}
	r.at++
	return true
}

// Expect reads c, which must come next.
func (r *Reader) Expect(c byte) {
	if !r.Accept(c) {
		r.Fail()
	}
}

// Literal reads null, true or false.
func (r *Reader) Literal(word string) {
	r.Peek()
	if len(r.data)-r.at < len(word) || string(r.data[r.at:r.at+len(word)]) != word {
		r.Fail()
		return
	}
	r.at += len(word)
}

// Done reports whether all was read and nothing but white space follows.
func (r *Reader) Done() bool {
	r.Peek()
	return !r.failed && r.at == len(r.data)
}

// Array reads an array; element reads the one at i.
func (r *Reader) Array(element func(i int)) {
	r.Expect('[')
	if r.Accept(']') {
		return
	}
	for i := 0; !r.failed; i++ {
		element(i)
		if r.Accept(']') {
			return
		}
		r.Expect(',')
	}
}

// Object reads an object. member reads the value of key. A key may come twice.
func (r *Reader) Object(member func(key string)) {
	r.Expect('{')
	if r.Accept('}') {
		return
	}
	for !r.failed {
		key := r.Text()
		r.Expect(':')
		member(key)
		if r.Accept('}') {
			return
		}
		r.Expect(',')
	}
}

// Uint reads an integer of at most most. A number with a sign, a fraction or an
// exponent is not accepted, whatever its value.
func (r *Reader) Uint(most uint64) uint64 {
	n := r.digits(most)
	if r.at < len(r.data) && (r.data[r.at] == '.' || r.data[r.at]|0x20 == 'e') {
		r.Fail()
	}
	return n
}

// Integer reads an integer by the rule of JSON Schema: it may have a fraction of
// zeros, which writers without integers produce.
func (r *Reader) Integer(most uint64) uint64 {
	n := r.digits(most)
	if r.at < len(r.data) && r.data[r.at] == '.' {
		r.at++
		zeros := r.at
		for r.at < len(r.data) && r.data[r.at] == '0' {
			r.at++
		}
		if r.at == zeros || r.at < len(r.data) && isDigit(r.data[r.at]) {
			r.Fail()
		}
	}
	if r.at < len(r.data) && r.data[r.at]|0x20 == 'e' {
		r.Fail()
	}
	return n
}

// digits reads a number without a sign.
func (r *Reader) digits(most uint64) uint64 {
	r.Peek()
	start, n := r.at, uint64(0)
	for ; r.at < len(r.data) && isDigit(r.data[r.at]); r.at++ {
		digit := uint64(r.data[r.at] - '0')
		if digit > most || n > (most-digit)/10 || r.at > start && r.data[start] == '0' {
			r.Fail()
			return 0
		}
		n = n*10 + digit
	}
	if r.at == start {
		r.Fail()
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Text reads a string.
func (r *Reader) Text() string { return string(r.Bytes()) }

// Bytes reads a string. No other copy of it is made, so that it can be wiped.
func (r *Reader) Bytes() []byte {
	r.Expect('"')
	b := make([]byte, 0, r.textLength())
	for !r.failed {
		start := r.at
		switch c := r.scanText(); c {
		case '"':
			b = append(b, r.data[start:r.at-1]...)
			if !utf8.Valid(b) {
				r.Fail()
			}
			return b
		case '\\':
			b = append(b, r.data[start:r.at-1]...)
			b = r.unescape(b)
		}
	}
	clear(b)
	return nil
}

// textLength is the number of bytes to the end of the string. No escape stands for
// more bytes than it has.
func (r *Reader) textLength() int {
	for i := r.at; i < len(r.data); i++ {
		switch r.data[i] {
		case '\\':
			i++
		case '"':
			return i - r.at
		}
	}
	return 0 // the string does not end
}

// scanText goes on to the next quote or backslash in a string, and behind it.
func (r *Reader) scanText() byte {
	for ; r.at < len(r.data); r.at++ {
		if c := r.data[r.at]; c == '"' || c == '\\' {
			r.at++
			return c
		} else if c < 0x20 {
			break
		}
	}
	r.Fail()
	return 0
}
