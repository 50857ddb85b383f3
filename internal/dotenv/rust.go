package dotenv

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextRust: lines are first joined as far as quotes are open, in a way that takes
// a backslash between single quotes for an escape, and then read in another.
func nextRust(text string) statement {
	line, end, ok := rustLine(text)
	s := statement{end: end, does: refuses}
	if !ok || !utf8.ValidString(text[:end]) {
		return s
	}
	rest := strings.TrimSpace(line)
	name, rest := rustName(rest)
	if name == "export" && !strings.HasPrefix(rest, "=") {
		name, rest = rustName(rest)
	}
	s.name = name
	rest, found := strings.CutPrefix(rest, "=")
	if name == "" || !found {
		return s
	}
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	if strings.HasPrefix(rest, "#") {
		rest = ""
	}
	s.value, s.does = rustValue(rest)
	return s
}

// rustName cuts a name and the white space after it.
func rustName(text string) (name, rest string) {
	if text == "" || isDigit(text[0]) || text[0] == '.' {
		return "", text
	}
	n := prefixLen(text, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '.' })
	return text[:n], strings.TrimLeftFunc(text[n:], unicode.IsSpace)
}

// rustLine returns the first line, with those that follow while quotes are open,
// and without a comment.
func rustLine(text string) (line string, end int, ok bool) {
	const complete, blank = 0, 1 // else the open quote
	state := complete
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case r == '\\':
			_, size := utf8.DecodeRuneInString(text[i:])
			if i += size; state == blank {
				state = complete
			}
			if text[i-size:i] != "\n" || state != complete {
				continue
			}
			return text[:i], i, true
		case state > blank:
			if state == int(r) {
				state = complete
			}
		case r == '\'' || r == '"':
			state = int(r)
		case r == '\n':
			return text[:i], i, true
		case r == '#' && state == blank:
			return text[:i-1], endOfLine(text, i), true
		case unicode.IsSpace(r) && r != '\r' && state == complete:
			state = blank
		default:
			state = complete
		}
	}
	return "", len(text), false
}

func rustValue(text string) (value string, does deed) {
	var b strings.Builder
	quote := rune(0)
	escaped, ended := false, false
	for _, r := range text {
		switch {
		case ended:
			if r == '#' {
				return b.String(), assigns
			}
			if r != ' ' && r != '\t' {
				return "", refuses
			}
		case escaped:
			switch {
			case r == 'n':
				b.WriteByte('\n')
			case strings.ContainsRune(`\'"$ `, r):
				b.WriteRune(r)
			default:
				return "", refuses
			}
			escaped = false
		case quote == '\'' && r != quote:
			b.WriteRune(r)
		case quote != 0 && r == quote:
			quote = 0
		case r == '$':
			return "", expands
		case r == '\\':
			escaped = true
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && (r == ' ' || r == '\t'):
			ended = true
		default:
			b.WriteRune(r)
		}
	}
	if quote != 0 {
		return "", refuses
	}
	return b.String(), assigns
}
