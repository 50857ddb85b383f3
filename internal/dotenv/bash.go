package dotenv

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextBash knows one assignment on a line, with or without export. If a line
// has more, it only says so. One rule is ours: a line may end in \r\n.
func nextBash(text string) statement {
	start := prefixLen(text, isBlank)
	end := endOfLine(text, start)
	exported := false
	if rest, found := strings.CutPrefix(text[start:], "export"); found && rest != "" && isBlank(rest[0]) {
		start += len("export") + prefixLen(rest, isBlank)
		exported = true
	}
	n := strings.IndexByte(text[start:], '=')
	if n < 0 || !isName(text[start:start+n]) {
		return statement{does: runs, end: end}
	}
	name := text[start : start+n]
	if slices.Contains(bashOwn(), name) {
		return statement{name: name, does: unclear, end: end}
	}
	s := bashWord(text, start+n+1, exported)
	s.name = name
	if s.does != assigns {
		s.end = end
	}
	return s
}

// bashOwn are variables that bash does not let a file set, or sets to another
// value.
func bashOwn() []string {
	return []string{"BASHOPTS", "BASHPID", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_COMMAND", "BASH_LINENO", "BASH_SUBSHELL",
		"BASH_VERSINFO", "COMP_WORDBREAKS", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GROUPS", "HISTCMD",
		"LINENO", "PPID", "RANDOM", "SECONDS", "SHELLOPTS", "SRANDOM", "UID", "_"}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// bashWord reads the value that begins at text[i], and the line to its end.
func bashWord(text string, i int, exported bool) statement {
	var b strings.Builder
	for start := i; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n':
			return bashEnd(text, i, b.String())
		case '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				return bashEnd(text, i+1, b.String())
			}
			return statement{does: unclear}
		case '\'':
			n := strings.IndexByte(text[i+1:], '\'')
			if n < 0 {
				return statement{does: refuses}
			}
			b.WriteString(text[i+1 : i+1+n])
			i += n + 2
		case '"':
			value, n, does := bashQuoted(text[i+1:])
			if does != assigns {
				return statement{does: does}
			}
			b.WriteString(value)
			i += n + 1
		case '\\':
			if text[i+1:] == "" {
				return statement{does: unclear}
			}
			if text[i+1] != '\n' {
				b.WriteByte(text[i+1])
			}
			i += 2
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			if does := bashRaw(r, i == start || text[i-1] == ':', exported); does != assigns {
				return statement{does: does}
			}
			b.WriteString(text[i : i+size])
			i += size
		}
	}
	return statement{does: unclear}
}

// bashRaw says what bash does about a character that is not quoted. A tilde
// counts at the beginning and after a colon.
func bashRaw(r rune, atStart, exported bool) deed {
	switch {
	case r == '$':
		return expands
	case r == '~' && atStart, r == '{' && exported:
		return expands
	case r == '`', strings.ContainsRune("|&;()<>", r):
		return runs
	case r < ' ', r == 0x7f, r == utf8.RuneError, unicode.IsSpace(r):
		return unclear
	}
	return assigns
}

// bashQuoted reads to the closing double quote, after which it returns the place.
func bashQuoted(text string) (value string, n int, does deed) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), i + 1, assigns
		case c == '$':
			return "", 0, expands
		case c == '`':
			return "", 0, runs
		case c == '\\' && i+1 < len(text) && strings.IndexByte("$`\"\\\n", text[i+1]) >= 0:
			i++
			if text[i] != '\n' {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, refuses
}

// bashEnd allows blanks and a comment after the value.
func bashEnd(text string, i int, value string) statement {
	line, end := cutLine(text[i:])
	rest := strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
	if rest != "" && rest[0] != '#' {
		return statement{does: runs}
	}
	return statement{value: value, end: i + end}
}
