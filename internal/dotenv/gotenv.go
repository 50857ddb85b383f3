package dotenv

import (
	"strings"
	"unicode/utf8"
)

// nextGotenv: lines are first joined while a quote is open, then the value ends at
// the last quote that only a comment follows; # ends what is not quoted; $NAME is
// expanded if NAME is in upper case.
func nextGotenv(text string) statement {
	line, end, ok := gotenvLine(text)
	s := statement{end: end, does: refuses}
	if !ok {
		return s
	}
	rest := strings.TrimLeft(line, gotenvSpaces)
	if after, found := strings.CutPrefix(rest, "export"); found {
		if trimmed := strings.TrimLeft(after, gotenvSpaces); len(trimmed) < len(after) && gotenvName(trimmed) > 0 {
			rest = trimmed
		}
	}
	n := gotenvName(rest)
	name, rest := rest[:n], rest[n:]
	if after, found := strings.CutPrefix(strings.TrimLeft(rest, gotenvSpaces), "="); found {
		rest = strings.TrimLeft(after, gotenvSpaces)
	} else if len(rest) > 1 && rest[0] == ':' && strings.IndexByte(gotenvSpaces, rest[1]) >= 0 {
		rest = rest[2:]
	} else {
		return s
	}
	value, ok := gotenvValue(rest)
	if name == "" || !ok {
		return s
	}
	s.name = name
	s.value, s.does = gotenvUnquoted(strings.TrimSpace(value))
	return s
}

// gotenvSpaces are \s of Go's regular expressions.
const gotenvSpaces = "\t\n\f\r "

func gotenvName(text string) int {
	return prefixLen(text, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '.' })
}

// gotenvLine returns the first line, with those that follow while its quote is
// open, joined by line feeds.
func gotenvLine(text string) (line string, end int, ok bool) {
	cut := func() (string, bool) {
		start := end
		end = endOfAnyLine(text, start)
		line := strings.TrimRight(text[start:end], "\r\n")
		return line, start < len(text) && len(line) <= longestLine
	}
	if line, ok = cut(); !ok {
		return "", end, false
	}
	line = strings.TrimSpace(line)
	quote := gotenvOpen(line)
	for quote != "" {
		more, ok := cut()
		if !ok {
			return "", end, false
		}
		line += "\n" + more
		if i := strings.LastIndex(more, quote); i == 0 || i > 0 && more[i-1] != '\\' {
			quote = ""
		}
	}
	return line, end, true
}

// gotenvOpen returns the quote that a line leaves open.
func gotenvOpen(line string) string {
	i := strings.IndexByte(line, '=')
	if i < 0 {
		i = strings.IndexByte(line, ':')
	}
	if i <= 0 || i == len(line)-1 {
		return ""
	}
	value := strings.TrimSpace(line[i+1:])
	if value[0] != '"' && value[0] != '\'' {
		return ""
	}
	quote := value[:1]
	if i := strings.LastIndex(strings.TrimSpace(value[1:]), quote); i >= 0 && value[i] != '\\' {
		return ""
	}
	return quote
}

// gotenvValue cuts a comment from what follows the =.
func gotenvValue(text string) (value string, ok bool) {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		for i := len(text) - 1; i > 0; i-- {
			if text[i] == text[0] && gotenvRest(text[i+1:]) {
				return text[:i+1], true
			}
		}
	}
	n := strings.IndexAny(text, "#\n")
	if n < 0 {
		n = len(text)
	}
	return text[:n], gotenvRest(text[n:])
}

// gotenvRest allows white space and a comment.
func gotenvRest(text string) bool {
	rest := strings.TrimLeft(text, gotenvSpaces)
	return rest == "" || rest[0] == '#' && !strings.Contains(rest, "\n")
}

func gotenvUnquoted(value string) (string, deed) {
	last := len(value) - 1
	quoted := func(c byte) bool { return last > 0 && value[0] == c && value[last] == c }
	switch {
	case !utf8.ValidString(value):
		return "", unclear
	case quoted('\''):
		return value[1:last], assigns
	case quoted('"'):
		value = strings.ReplaceAll(strings.ReplaceAll(value[1:last], `\n`, "\n"), `\r`, "\r")
		value = dropBackslashes(value)
	}
	return upperDollars(value, false)
}
