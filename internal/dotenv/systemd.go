package dotenv

import (
	"strings"
	"unicode/utf8"
)

// nextSystemd: quoted parts count at the beginning of a value only, where they
// may be several; a backslash takes the next character as it is; # and ; begin
// a comment at the beginning of a line only.
func nextSystemd(text string) statement {
	start := prefixLen(text, isBlank)
	end := endOfAnyLine(text, start)
	n := strings.IndexByte(text[start+1:end], '=') // a first character is a name's
	if n < 0 || text[start] == ';' {
		return statement{does: ignores, end: end}
	}
	n += start + 1
	s := systemdValue(text, n+1)
	s.name = strings.Trim(text[:n], " \t")
	switch {
	case !utf8.ValidString(s.name) || !utf8.ValidString(s.value):
		s.does = refuses // the whole file
	case !isName(s.name):
		s.does = ignores
	}
	return s
}

func systemdValue(text string, i int) statement {
	var b strings.Builder
	kept := 0 // without the blanks at the end
	begun := false
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n' || c == '\r':
			if c == '\r' && strings.HasPrefix(text[i+1:], "\n") {
				i++
			}
			return statement{value: b.String()[:kept], end: i + 1}
		case c == '\\':
			begun = true
			if i++; i < len(text) && text[i] != '\n' && text[i] != '\r' {
				b.WriteByte(text[i])
			}
			kept = b.Len()
		case !begun && (c == '\'' || c == '"'):
			i = systemdQuoted(&b, text, i)
			kept = b.Len()
		case isBlank(c):
			if begun {
				b.WriteByte(c)
			}
		default:
			begun = true
			b.WriteByte(c)
			kept = b.Len()
		}
	}
	return statement{value: b.String(), end: len(text)}
}

// systemdQuoted returns the place of the quote that closes the one at text[i]. If
// there is none, the rest of the file is the value.
func systemdQuoted(b *strings.Builder, text string, i int) int {
	quote := text[i]
	for i++; i < len(text) && text[i] != quote; i++ {
		if quote == '\'' || text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; {
		case strings.IndexByte("\"\\`$", c) >= 0:
			b.WriteByte(c)
		case c != '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return i
}
