package dotenv

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextPython: escapes between both kinds of quotes, ${NAME} expanded between both
// too, files read with every kind of line end as \n.
func nextPython(text string) statement {
	s := pythonStatement(text)
	switch {
	case !utf8.ValidString(text[:s.end]):
		s.does = refuses // the whole file
	case s.does == assigns && pythonExpands(s.value):
		s.does = expands
	}
	return s
}

func pythonStatement(text string) statement {
	i := len(text) - len(strings.TrimLeftFunc(text, isPythonSpace))
	if rest, found := strings.CutPrefix(text[i:], "export"); found {
		if n := pythonBlanks(rest); n > 0 {
			i += len("export") + n
		}
	}
	name, n := pythonName(text[i:])
	if i += n; n == 0 {
		return statement{does: ignores, end: endOfAnyLine(text, i)}
	}
	i += pythonBlanks(text[i:])
	s := statement{name: name}
	if i == len(text) || text[i] != '=' {
		if i < len(text) && strings.IndexByte("#\r\n", text[i]) < 0 {
			s.name = ""
		}
		s.does, s.end = ignores, endOfAnyLine(text, i)
		return s
	}
	blanks := pythonBlanks(text[i+1:])
	i += 1 + blanks
	if blanks == 0 || i == len(text) || text[i] != '#' {
		if s.value, n = pythonValue(text[i:]); n < 0 {
			return statement{does: ignores, end: endOfAnyLine(text, i)}
		}
		i += n
	}
	i += pythonBlanks(text[i:])
	if i < len(text) && strings.IndexByte("#\r\n", text[i]) < 0 {
		return statement{does: ignores, end: endOfAnyLine(text, i)}
	}
	s.end = endOfAnyLine(text, i)
	return s
}

// isPythonSpace is \s of Python's regular expressions, and what str.rstrip removes.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// pythonBlanks counts the bytes of white space on the line.
func pythonBlanks(text string) int {
	return len(text) - len(strings.TrimLeftFunc(text, func(r rune) bool { return isPythonSpace(r) && r != '\n' && r != '\r' }))
}

func pythonName(text string) (name string, n int) {
	if strings.HasPrefix(text, "'") {
		n := strings.IndexByte(text[1:], '\'')
		if n < 1 {
			return "", 0
		}
		return text[1 : 1+n], n + 2
	}
	n = strings.IndexFunc(text, func(r rune) bool { return r == '=' || r == '#' || isPythonSpace(r) })
	if n < 0 {
		n = len(text)
	}
	return text[:n], n
}

// pythonValue returns the value at the beginning of text and its length as it is
// written; -1 if a quote is missing.
func pythonValue(text string) (value string, n int) {
	switch {
	case text == "" || text[0] == '\n' || text[0] == '\r':
		return "", 0
	case text[0] == '\'':
		return pythonQuoted(text, `\'`, `\'`)
	case text[0] == '"':
		return pythonQuoted(text, `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v")
	}
	n = strings.IndexAny(text, "\r\n")
	if n < 0 {
		n = len(text)
	}
	value = text[:n]
	for i := 1; i < len(value); i++ {
		if cut := strings.TrimRightFunc(value[:i], isPythonSpace); value[i] == '#' && len(cut) < i {
			value = cut
			break
		}
	}
	return strings.TrimRightFunc(value, isPythonSpace), n
}

// pythonQuoted replaces each escape, a backslash and one of from, by the
// character at the same place in to. Other backslashes stay.
func pythonQuoted(text, from, to string) (value string, n int) {
	n = 1
	for n < len(text) && text[n] != text[0] {
		if text[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(text) {
		return "", -1
	}
	var b strings.Builder
	inner := toLF(text[1:n])
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			b.WriteByte(inner[i])
			continue
		}
		i++
		if at := strings.IndexByte(from, inner[i]); at >= 0 {
			b.WriteByte(to[at])
		} else {
			b.WriteString(inner[i-1 : i+1])
		}
	}
	return b.String(), n + 1
}

// pythonExpands looks for ${NAME} and ${NAME:-DEFAULT}.
func pythonExpands(value string) bool {
	for {
		_, rest, found := strings.Cut(value, "${")
		if !found {
			return false
		}
		end := strings.IndexAny(rest, "}:")
		if end >= 0 && (rest[end] == '}' || strings.HasPrefix(rest[end:], ":-") && strings.Contains(rest[end:], "}")) {
			return true
		}
		value = rest
	}
}
