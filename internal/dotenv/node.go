package dotenv

import (
	"strings"
	"unicode/utf8"
)

// nextNode: a name is all before the next =, even on a later line; three kinds of
// quotes; \n between double ones; # anywhere ends what is not quoted; carriage
// returns are dropped.
func nextNode(text string) statement {
	i := strings.IndexByte(text, '=')
	// The blank lines and comments that are left begin with a carriage return.
	if rest := strings.TrimLeft(text, "\r"); i < 0 || rest[0] == '#' || rest[0] == '\n' {
		return statement{does: ignores, end: endOfLine(text, 0)}
	}
	name := strings.TrimPrefix(strings.Trim(withoutCR(text[:i]), " "), "export ")
	i++
	i += prefixLen(text[i:], func(c byte) bool { return c == ' ' || c == '\r' })
	value, n := nodeValue(text[i:])
	s := statement{name: name, value: withoutCR(value), end: i + n}
	if name == "" {
		s.does = stops
	} else if !utf8.ValidString(text[:s.end]) {
		s.does = unclear
	}
	return s
}

func withoutCR(s string) string { return strings.ReplaceAll(s, "\r", "") }

func nodeValue(text string) (value string, n int) {
	line, end := cutLine(text)
	if line == "" {
		return "", end
	}
	if quote := text[0]; quote == '"' || quote == '\'' || quote == '`' {
		closing := strings.IndexByte(text[1:], quote)
		if closing < 0 {
			return line, end
		}
		value = text[1 : 1+closing]
		if quote == '"' {
			value = strings.ReplaceAll(withoutCR(value), `\n`, "\n")
		}
		return value, endOfLine(text, closing+2)
	}
	value, _, _ = strings.Cut(line, "#")
	return strings.Trim(withoutCR(value), " "), end
}
