package dotenv

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextNpm: three kinds of quotes, of which those at the end of a line close; \n
// and \r between double ones; # anywhere ends what is not quoted; every kind of
// line end is \n.
func nextNpm(text string) statement {
	s := npmStatement(text)
	if all := text[:s.end]; !utf8.ValidString(all) || strings.ContainsAny(all, "\u2028\u2029") {
		s.does = unclear // these two begin lines of their own
	}
	return s
}

func npmStatement(text string) statement {
	i := npmSpaces(text)
	if rest, found := strings.CutPrefix(text[i:], "export"); found {
		if n := npmSpaces(rest); n > 0 && npmName(rest[n:]) > 0 {
			i += len("export") + n
		}
	}
	n := npmName(text[i:])
	s := statement{name: text[i : i+n]}
	i += n
	spaces := npmSpaces(text[i:])
	switch {
	case n == 0:
		return statement{does: ignores, end: endOfLine(text, 0)}
	case strings.HasPrefix(text[i+spaces:], "="):
		i += spaces + 1
	case strings.HasPrefix(text[i:], ":") && npmSpaces(text[i+1:]) > 0:
		i += 2
	default:
		return statement{does: ignores, end: endOfLine(text, 0)}
	}
	s.value, n = npmValue(text[i:])
	s.end = i + n
	return s
}

// isNpmSpace is \s of JavaScript, and what trim removes.
func isNpmSpace(r rune) bool { return unicode.IsSpace(r) && r != 0x85 || r == 0xfeff }

func npmSpaces(text string) int { return len(text) - len(strings.TrimLeftFunc(text, isNpmSpace)) }

func npmName(text string) int {
	return prefixLen(text, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '.' || c == '-' })
}

// npmValue returns the value at the beginning of text, and how far the statement
// goes from there.
func npmValue(text string) (value string, n int) {
	start := npmSpaces(text)
	if start < len(text) && strings.IndexByte("'\"`", text[start]) >= 0 {
		if closing := npmClosing(text, start); closing > 0 {
			return npmUnescape(text[start+1:closing], text[start]), endOfAnyLine(text, closing+1)
		}
	}
	n = strings.IndexAny(text, "#\r\n")
	if n < 0 {
		n = len(text)
	}
	value = strings.TrimFunc(text[:n], isNpmSpace)
	if value == "" {
		return "", endOfAnyLine(text, n)
	}
	quote := value[0]
	if len(value) > 1 && strings.IndexByte("'\"`", quote) >= 0 && value[len(value)-1] == quote {
		value = value[1 : len(value)-1]
	}
	return npmUnescape(value, quote), endOfAnyLine(text, n)
}

// npmClosing finds the quote that closes the one at text[start], or 0: only the end
// of a line or a comment follows it, and of several that a backslash precedes it
// is the last.
func npmClosing(text string, start int) int {
	found := 0
	for i := start + 1; i < len(text); i++ {
		if text[i] != text[start] {
			continue
		}
		const end = "#\r\n\u2028\u2029"
		rest := strings.TrimLeftFunc(text[i+1:], func(r rune) bool { return isNpmSpace(r) && !strings.ContainsRune(end, r) })
		if rest == "" || strings.IndexAny(rest, end) == 0 {
			found = i
		}
		if text[i-1] != '\\' {
			break
		}
	}
	return found
}

func npmUnescape(value string, quote byte) string {
	value = toLF(value)
	if quote == '"' {
		value = strings.ReplaceAll(strings.ReplaceAll(value, `\n`, "\n"), `\r`, "\r")
	}
	return value
}
