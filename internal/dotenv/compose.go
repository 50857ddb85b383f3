package dotenv

import (
	"strings"
	"unicode"
)

// nextCompose: a backslash before a closing quote counts between both kinds of
// quotes; between double ones C's escapes do, and $$ is a dollar; " #" begins a
// comment.
func nextCompose(text string) statement {
	i := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	if rest, found := strings.CutPrefix(text[i:], "export"); found && rest != "" && strings.IndexByte("\t\n\f\r ", rest[0]) >= 0 {
		i = len(text) - len(strings.TrimLeftFunc(rest, isSpaceInLine))
	}
	allowed := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("_.-[]", r)
	}
	n := strings.IndexFunc(text[i:], func(r rune) bool { return !isSpaceInLine(r) && !allowed(r) })
	s := statement{end: endOfLine(text, i)}
	if n < 0 || strings.IndexByte("=:\n", text[i+n]) < 0 {
		s.does = refuses
		return s
	}
	name := strings.TrimRightFunc(text[i:i+n], unicode.IsSpace)
	i += n + 1
	switch {
	case strings.Contains(name, " "):
		s.does = refuses
		return s
	case text[i-1] == '\n':
		s.does = looksUp
		return s
	}
	if s = composeValue(text, i); s.does == assigns && name != "" && isDigit(name[0]) {
		s.does = ignores
	}
	s.name = name
	return s
}

func composeValue(text string, i int) statement {
	i = len(text) - len(strings.TrimLeftFunc(text[i:], isSpaceInLine))
	s := statement{end: endOfLine(text, i)}
	if i == len(text) || text[i] != '"' && text[i] != '\'' {
		line, end := cutLine(text[i:])
		line, _, _ = strings.Cut(line, " #")
		s.value, s.does = composeDollars(strings.TrimRightFunc(line, unicode.IsSpace))
		s.end = i + end
		return s
	}
	value, n := composeQuoted(text[i:])
	if n == 0 {
		s.does = refuses
		return s
	}
	if s.value, s.end = value, settle(text, i+n); text[i] == '"' {
		if s.value, s.does = composeEscapes(value); s.does == assigns {
			s.value, s.does = composeDollars(s.value)
		}
	}
	return s
}

// isSpaceInLine reports the characters that compose and godotenv skip beside
// names and values.
func isSpaceInLine(r rune) bool { return strings.ContainsRune("\t\v\f\r \u0085\u00a0", r) }

// settle returns where the next statement begins for compose and godotenv: after
// white space, and after a comment.
func settle(text string, i int) int {
	rest := strings.TrimLeftFunc(text[i:], func(r rune) bool { return unicode.IsSpace(r) && r != '\n' })
	i = len(text) - len(rest)
	if rest != "" && (rest[0] == '#' || rest[0] == '\n') {
		return endOfLine(text, i)
	}
	return i
}

// composeQuoted returns the text between quotes, and its length with them, or 0
// if there is no second one.
func composeQuoted(text string) (value string, n int) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == text[0]:
			return b.String(), i + 1
		case c == '\\' && i+1 < len(text):
			i++
			if text[i] != text[0] {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0
}

// composeEscapes decodes C's escapes, except the octal ones.
func composeEscapes(text string) (value string, does deed) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		at := strings.IndexByte(`abfnrtv\"`, text[i])
		switch {
		case text[i] == '0':
			return "", unclear
		case text[i] == '$':
			b.WriteString("$$")
		case at >= 0:
			b.WriteByte("\a\b\f\n\r\t\v\\\""[at])
		default:
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String(), assigns
}

// composeDollars: $$ is a dollar, and one before a name or a brace expands.
func composeDollars(text string) (value string, does deed) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		b.WriteByte(text[i])
		if text[i] != '$' || i+1 == len(text) {
			continue
		}
		switch c := text[i+1]; {
		case c == '$':
			i++
		case isLetter(c) || c == '_' || c == '{' || c >= 0x80:
			return "", expands
		}
	}
	return b.String(), assigns
}
