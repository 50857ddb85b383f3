package dotenv

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// longestLine is that of Go's bufio.Scanner with its default buffer, which has
// to hold the line feed too.
const longestLine = 64*1024 - 1

// nextDocker: a line is a name, = and the value as it stands.
func nextDocker(text string) statement {
	line, end := cutLine(text)
	if len(line) > longestLine || !utf8.ValidString(line) {
		return statement{does: refuses, end: end}
	}
	name, value, found := strings.Cut(trimLine(line), "=")
	switch {
	case name == "" || strings.ContainsAny(name, " \t"):
		return statement{does: refuses, end: end}
	case !found:
		return statement{name: name, does: looksUp, end: end}
	}
	return statement{name: name, value: value, end: end}
}

// nextKubectl reads as docker does and checks names. It never looks at the
// error of its scanner, so it takes a line that is too long for the end of the
// file.
func nextKubectl(text string) statement {
	line, end := cutLine(text)
	switch {
	case len(line) > longestLine:
		return statement{does: stops, end: len(text)}
	case !utf8.ValidString(line):
		return statement{does: refuses, end: end}
	}
	name, value, found := strings.Cut(trimLine(line), "=")
	bad := func(r rune) bool {
		return r >= utf8.RuneSelf || !isLetter(byte(r)) && !isDigit(byte(r)) && !strings.ContainsRune("-._", r)
	}
	switch {
	case name == "" || isDigit(name[0]) || strings.ContainsFunc(name, bad) || name == "." || strings.HasPrefix(name, ".."):
		return statement{does: refuses, end: end}
	case !found:
		return statement{name: name, does: looksUp, end: end}
	}
	return statement{name: name, value: value, end: end}
}

// trimLine removes the characters that bufio.ScanLines and both readers remove.
func trimLine(line string) string {
	return strings.TrimLeftFunc(strings.TrimSuffix(line, "\r"), unicode.IsSpace)
}

// nextEnvparse: single lines, quotes anywhere in a value, the escapes of JSON
// between double quotes, no control characters.
func nextEnvparse(text string) statement {
	line, end := cutLine(text)
	name, rest, found := strings.Cut(strings.TrimSpace(line), "=")
	name = strings.TrimSpace(name)
	if len(name) > len("export ") {
		name = strings.TrimPrefix(name, "export ")
	}
	s := statement{name: name, end: end}
	inName := func(c byte) bool { return isLetter(c) || isDigit(c) || strings.IndexByte("_./", c) >= 0 }
	if !found || name == "" || len(line) > longestLine ||
		!isLetter(name[0]) && name[0] != '_' || prefixLen(name, inName) < len(name) {
		s.does = refuses
		return s
	}
	value, ok := envparseValue(strings.TrimSpace(rest))
	if s.value = value; !ok {
		s.does = refuses
	}
	return s
}

func envparseValue(text string) (value string, ok bool) {
	var b []byte
	kept := 0 // what a comment leaves
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c < ' ':
			return "", false
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
			continue
		case quote == 0 && c == '#':
			return string(b[:kept]), true
		case quote == 0 && c == ' ', c >= utf8.RuneSelf:
			// A comment also removes the last byte of a character beyond ASCII.
			if c >= utf8.RuneSelf {
				kept = len(b)
			}
			b = append(b, c)
			continue
		case quote != 0 && c == quote:
			quote = 0
			continue
		case quote == '"' && c == '\\':
			escaped, n := jsonEscape(text[i+1:])
			if n == 0 {
				return "", false
			}
			b = append(b, escaped...)
			i += n
		default:
			b = append(b, c)
		}
		kept = len(b)
	}
	return string(b), quote == 0
}

// jsonEscape decodes what follows a backslash, and returns how many bytes that
// was; 0 if it is no escape.
func jsonEscape(s string) (decoded string, n int) {
	if s == "" {
		return "", 0
	}
	if i := strings.IndexByte(`"\/bfrnt`, s[0]); i >= 0 {
		return "\"\\/\b\f\r\n\t"[i : i+1], 1
	}
	first, ok := hexUnit(s)
	if !ok {
		return "", 0
	}
	if !utf16.IsSurrogate(first) {
		return string(first), 5
	}
	if len(s) < 11 || s[5] != '\\' {
		return "", 0
	}
	second, ok := hexUnit(s[6:])
	if !ok {
		return "", 0
	}
	return string(utf16.DecodeRune(first, second)), 11
}

// hexUnit reads u and four hex digits.
func hexUnit(s string) (rune, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	var r rune
	for i := 1; i < 5; i++ {
		digit := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if digit < 0 || s[i] < '0' {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}
