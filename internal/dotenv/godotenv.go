package dotenv

import (
	"strings"
	"unicode"
)

// nextGodotenv: a quote closes unless a backslash precedes it, even one that is
// itself escaped; quotes at both ends of what is quoted go too; the last # after
// white space begins a comment; $NAME is expanded if NAME is in upper case.
func nextGodotenv(text string) statement {
	i := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	if rest, found := strings.CutPrefix(text[i:], "export"); found {
		if trimmed := strings.TrimLeftFunc(rest, isSpaceInLine); len(trimmed) < len(rest) {
			i = len(text) - len(trimmed)
		}
	}
	inName := func(c byte) bool {
		return isLetter(c) || isDigit(c) || c == '_' || c == '.' || c < 0x80 && isSpaceInLine(rune(c))
	}
	n := prefixLen(text[i:], inName)
	s := statement{end: endOfLine(text, i)}
	if i+n == len(text) || text[i+n] != '=' && text[i+n] != ':' {
		s.does = refuses
		return s
	}
	s.name = strings.TrimSpace(text[i : i+n])
	i = len(text) - len(strings.TrimLeftFunc(text[i+n+1:], isSpaceInLine))
	if i == len(text) || text[i] != '"' && text[i] != '\'' {
		s.value, s.end = godotenvRaw(text, i)
		s.value, s.does = upperDollars(s.value, true)
		return s
	}
	n = godotenvClosing(text[i:])
	if n == 0 {
		s.does = refuses
		return s
	}
	quote := text[i : i+1]
	s.value = strings.Trim(strings.ReplaceAll(text[i:i+n], "\r\n", "\n"), quote)
	s.end = settle(text, i+n+1)
	if quote == `"` {
		s.value, s.does = upperDollars(dropBackslashes(goEscapes(s.value)), true)
	}
	return s
}

// godotenvRaw returns the value at text[i] that is not quoted. Bytes that are not
// UTF-8 are lost.
func godotenvRaw(text string, i int) (value string, end int) {
	n := strings.IndexAny(text[i:], "\r\n")
	if n < 0 {
		n = len(text) - i
	}
	line := []rune(text[i : i+n])
	for j := len(line) - 1; j > 0; j-- {
		if line[j] == '#' && isSpaceInLine(line[j-1]) {
			line = line[:j]
			break
		}
	}
	return strings.TrimFunc(string(line), isSpaceInLine), settle(text, i+n)
}

// godotenvClosing returns the place of the quote that closes the one at the
// beginning of text, or 0.
func godotenvClosing(text string) int {
	for i := 1; i < len(text); i++ {
		if text[i] == text[0] && text[i-1] != '\\' {
			return i
		}
	}
	return 0
}

// goEscapes decodes \n and \r, and steps over other escapes.
func goEscapes(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		switch i++; text[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String()
}

// dropBackslashes removes each backslash that is not before a dollar, and keeps
// what follows it.
func dropBackslashes(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && text[i+1] != '$' {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// upperDollars drops the backslash of each \$. A dollar before a name in upper
// case expands, also if a brace, or a parenthesis where that counts, stands
// between.
func upperDollars(text string, parenthesis bool) (value string, does deed) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], `\$`) {
			i++
			b.WriteByte('$')
			continue
		}
		b.WriteByte(text[i])
		if text[i] != '$' {
			continue
		}
		rest := text[i+1:]
		if parenthesis {
			rest = strings.TrimPrefix(rest, "(")
		}
		rest = strings.TrimPrefix(rest, "{")
		if rest != "" && ('A' <= rest[0] && rest[0] <= 'Z' || isDigit(rest[0]) || rest[0] == '_') {
			return "", expands
		}
	}
	return b.String(), assigns
}
