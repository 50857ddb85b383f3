package migrate

import (
	"slices"
	"unicode/utf8"
)

// reader reads JSON into known fields as the parser of the records' writer
// does. encoding/json differs: it takes duplicate fields, fields that differ
// by case, lone surrogates and invalid UTF-8.
//
// After the first failure every method does nothing, so that callers ask once,
// at the end.
type reader struct {
	data   []byte
	at     int
	failed bool
}

func (r *reader) fail() {
	r.failed = true
	r.at = len(r.data)
}

// peek skips white space and returns the next byte, and 0 at the end.
func (r *reader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (r *reader) accept(c byte) bool {
	if r.peek() != c || r.at == len(r.data) {
		return false
	}
	r.at++
	return true
}

func (r *reader) expect(c byte) {
	if !r.accept(c) {
		r.fail()
	}
}

func (r *reader) literal(word string) {
	r.peek()
	if len(r.data)-r.at < len(word) || string(r.data[r.at:r.at+len(word)]) != word {
		r.fail()
		return
	}
	r.at += len(word)
}

// done reports whether all was read and nothing but white space follows.
func (r *reader) done() bool {
	r.peek()
	return !r.failed && r.at == len(r.data)
}

func (r *reader) array(element func(i int)) {
	r.expect('[')
	if r.accept(']') {
		return
	}
	for i := 0; !r.failed; i++ {
		element(i)
		if r.accept(']') {
			return
		}
		r.expect(',')
	}
}

func (r *reader) object(member func(key string)) {
	r.expect('{')
	if r.accept('}') {
		return
	}
	for !r.failed {
		key := r.text()
		r.expect(':')
		member(key)
		if r.accept('}') {
			return
		}
		r.expect(',')
	}
}

// field is a known field of an object.
type field struct {
	name     string
	optional bool // may be missing
	read     func()
}

// fields reads an object of known fields, each once, among unknown ones, whose
// values are skipped. An array of all of them in their order will do as well.
func (r *reader) fields(known []field) {
	seen := make([]bool, len(known))
	read := func(i int) {
		if i < 0 || i >= len(known) || seen[i] {
			r.fail()
			return
		}
		seen[i] = true
		known[i].read()
	}
	if r.peek() == '[' {
		r.array(read)
		if slices.Contains(seen, false) {
			r.fail()
		}
		return
	}
	r.object(func(key string) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key })
		if i < 0 {
			r.skip()
			return
		}
		read(i)
	})
	for i, f := range known {
		if !seen[i] && !f.optional {
			r.fail()
		}
	}
}

// option reads a value that may be null.
func (r *reader) option(read func()) {
	if r.peek() == 'n' {
		r.literal("null")
		return
	}
	read()
}

// uint reads an integer of at most most. One that is written with a sign, a
// fraction or an exponent is none, whatever its value.
func (r *reader) uint(most uint64) uint64 {
	r.peek()
	start, n := r.at, uint64(0)
	for ; r.at < len(r.data) && isDigit(r.data[r.at]); r.at++ {
		digit := uint64(r.data[r.at] - '0')
		if n > (most-digit)/10 || digit > most || r.at > start && r.data[start] == '0' {
			r.fail()
			return 0
		}
		n = n*10 + digit
	}
	if r.at == start || r.at < len(r.data) && (r.data[r.at] == '.' || r.data[r.at]|0x20 == 'e') {
		r.fail()
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// bytes reads an array of numbers from 0 to 255.
func (r *reader) bytes() []byte {
	b := []byte{}
	r.array(func(int) { b = append(b, byte(r.uint(255))) })
	return b
}

// fixed reads an array of exactly len(dst) bytes.
func (r *reader) fixed(dst []byte) {
	if b := r.bytes(); copy(dst, b) != len(dst) || len(b) != len(dst) {
		r.fail()
	}
}

// text reads a string.
func (r *reader) text() string {
	r.expect('"')
	var b []byte
	for !r.failed {
		start := r.at
		switch c := r.scanText(); c {
		case '"':
			b = append(b, r.data[start:r.at-1]...)
			if !utf8.Valid(b) {
				r.fail()
			}
			return string(b)
		case '\\':
			b = append(b, r.data[start:r.at-1]...)
			b = r.unescape(b)
		}
	}
	return ""
}

// scanText goes on to the next quote or backslash in a string, and behind it.
func (r *reader) scanText() byte {
	for ; r.at < len(r.data); r.at++ {
		if c := r.data[r.at]; c == '"' || c == '\\' {
			r.at++
			return c
		} else if c < 0x20 {
			break
		}
	}
	r.fail()
	return 0
}
