package jsonread

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends the characters of an escape whose backslash was read.
func (r *Reader) unescape(b []byte) []byte {
	if r.at == len(r.data) {
		r.Fail()
		return b
	}
	c := r.data[r.at]
	r.at++
	switch c {
	case '"', '\\', '/':
		return append(b, c)
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'u':
		return utf8.AppendRune(b, r.codePoint())
	}
	r.Fail()
	return b
}

// codePoint reads the digits of an escape, and the second half of a pair.
func (r *Reader) codePoint() rune {
	first := r.hex4()
	if !utf16.IsSurrogate(first) {
		return first
	}
	if r.at+2 > len(r.data) || r.data[r.at] != '\\' || r.data[r.at+1] != 'u' {
		r.Fail()
		return 0
	}
	r.at += 2
	whole := utf16.DecodeRune(first, r.hex4())
	if whole == utf8.RuneError {
		r.Fail() // not the halves of a pair
	}
	return whole
}

func (r *Reader) hex4() rune {
	const digits = 4
	if len(r.data)-r.at < digits {
		r.Fail()
		return 0
	}
	n := rune(0)
	for _, c := range r.data[r.at : r.at+digits] {
		switch {
		case isDigit(c):
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			r.Fail()
			return 0
		}
	}
	r.at += digits
	return n
}

// Skip reads a value of any kind and depth. It need not be sound text: lone
// surrogates and bytes that are not UTF-8 are accepted.
func (r *Reader) Skip() {
	var open []byte // brackets
	for !r.failed {
		switch c := r.Peek(); c {
		case '[', '{':
			r.at++
			open = append(open, c)
			if r.Accept(c + 2) { // the closing one
				open = open[:len(open)-1]
				break
			}
			r.skipKey(c)
			continue
		default:
			r.skipScalar(c)
		}
		for len(open) > 0 && r.Accept(open[len(open)-1]+2) {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return
		}
		r.Expect(',')
		r.skipKey(open[len(open)-1])
	}
}

// skipKey reads a key and its colon in an object, and nothing in an array.
func (r *Reader) skipKey(open byte) {
	if open == '{' {
		r.Expect('"')
		r.skipText()
		r.Expect(':')
	}
}

func (r *Reader) skipScalar(first byte) {
	switch first {
	case 'n':
		r.Literal("null")
	case 't':
		r.Literal("true")
	case 'f':
		r.Literal("false")
	case '"':
		r.at++
		r.skipText()
	default:
		r.skipNumber()
	}
}

// skipText reads the rest of a string.
func (r *Reader) skipText() {
	for !r.failed {
		if r.scanText() != '\\' {
			return
		}
		if r.at < len(r.data) && r.data[r.at] == 'u' {
			r.at++
			r.hex4()
			continue
		}
		r.unescape(nil)
	}
}

func (r *Reader) skipNumber() {
	at := func(c byte) bool { return r.at < len(r.data) && r.data[r.at] == c }
	if at('-') {
		r.at++
	}
	if at('0') {
		r.at++
		if r.at < len(r.data) && isDigit(r.data[r.at]) {
			r.Fail()
		}
	} else {
		r.skipDigits()
	}
	if at('.') {
		r.at++
		r.skipDigits()
	}
	if at('e') || at('E') {
		r.at++
		if at('+') || at('-') {
			r.at++
		}
		r.skipDigits()
	}
}

// skipDigits reads one digit or more.
func (r *Reader) skipDigits() {
	start := r.at
	for r.at < len(r.data) && isDigit(r.data[r.at]) {
		r.at++
	}
	if r.at == start {
		r.Fail()
	}
}
