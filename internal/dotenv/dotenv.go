// Package dotenv writes and reads files of environment variables.
//
// There is no one format: the twelve readers in common use differ about quotes,
// backslashes, dollars and comments. So this package models each of them, in a
// function that says how it reads the beginning of a text. [Write] uses the
// first form of a value that the models of the chosen readers read back
// unchanged. [Read] accepts the lines on which they agree. The module
// testreaders compares the models with the readers themselves.
package dotenv

import (
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Variable is one assignment. Values are any bytes. [Write] accepts names of
// the form [A-Za-z_][A-Za-z0-9_]*.
type Variable struct{ Name, Value string }

// Readers returns the names by which readers are chosen, sorted.
func Readers() []string {
	all := readers()
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.name
	}
	return names
}

// reader is the model of one program or library.
type reader struct {
	name string

	// next says how the reader reads the beginning of text, which is neither a
	// blank line nor a comment and ends in a line feed.
	next func(text string) statement

	// apart marks readers for which the quoting of the others does not work.
	apart bool
	// again says what happens to a second assignment to a name. Most readers use
	// it instead of the first.
	again deed
}

// readers are sorted by name. Versions: bash 5.2 (. file under set -a), compose-go
// 2.16.2, docker/cli 29.9.3 (pkg/kvfile), go-envparse 0.1.0, godotenv 1.5.1,
// subosito/gotenv 1.6.0, kubectl 0.37.2 (--from-env-file), Node.js 20.20.2
// (util.parseEnv), dotenv 18.0.10 of npm, python-dotenv 1.2.4, dotenvy 0.15.7,
// systemd 252 (EnvironmentFile=).
func readers() []reader {
	return []reader{
		{name: "bash", next: nextBash},
		{name: "compose", next: nextCompose},
		{name: "docker", next: nextDocker, apart: true, again: unclear},
		{name: "envparse", next: nextEnvparse, apart: true},
		{name: "godotenv", next: nextGodotenv},
		{name: "gotenv", next: nextGotenv},
		{name: "kubectl", next: nextKubectl, apart: true, again: refuses},
		{name: "node", next: nextNode},
		{name: "npm", next: nextNpm},
		{name: "python", next: nextPython},
		{name: "rust", next: nextRust, again: ignores},
		{name: "systemd", next: nextSystemd},
	}
}

// common are the nine that agree on most of what is quoted.
func common() []reader {
	return slices.DeleteFunc(readers(), func(r reader) bool { return r.apart })
}

// find returns the reader of a name.
func find(name string) (reader, error) {
	for _, r := range readers() {
		if r.name == name {
			return r, nil
		}
	}
	return reader{}, &nebula.Error{Kind: nebula.ErrUsage, Message: "there is no dotenv reader of that name",
		Hint: "one of " + strings.Join(Readers(), ", ")}
}

// statement is the beginning of a text as a reader reads it.
type statement struct {
	name, value string

	does deed
	end  int // where the next statement begins
}

// deed is what a reader does with a line, in words that a message puts before
// the readers.
type deed string

const (
	assigns deed = ""
	refuses deed = "refused"
	ignores deed = "ignored"
	expands deed = "expanded"
	runs    deed = "run as a command"
	looksUp deed = "value taken from the environment"
	stops   deed = "ignored with all that follows"
	unclear deed = "read in a way of its own"
)

// isName reports the names that every reader accepts.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && c != '_' && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// cutLine returns the first line without its line feed, and where the second
// begins.
func cutLine(text string) (line string, end int) {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i], i + 1
	}
	return text, len(text)
}

// endOfLine is where the line that holds text[i] ends, after its line feed.
func endOfLine(text string, i int) int {
	_, end := cutLine(text[i:])
	return i + end
}

// endOfAnyLine is endOfLine where \r and \r\n end lines too.
func endOfAnyLine(text string, i int) int {
	n := strings.IndexAny(text[i:], "\r\n")
	switch {
	case n < 0:
		return len(text)
	case strings.HasPrefix(text[i+n:], "\r\n"):
		return i + n + 2
	}
	return i + n + 1
}

// toLF replaces other ends of lines.
func toLF(s string) string { return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s) }

// prefixLen counts the bytes at the beginning of s that are in the set.
func prefixLen(s string, in func(c byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}
