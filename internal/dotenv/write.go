package dotenv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Misread says how a reader misreads a file that was not written for it.
type Misread struct {
	Reader  string
	Names   []string // that it does not read as they are
	Refused bool     // the whole file, because of them
}

// Write returns a file that assigns the variables in their order, a value each in
// the first of these forms that is right: as it stands, in single quotes, in
// double ones with escapes, in double ones with \n for a line feed.
//
// A form is right if the named reader reads it correctly. With "", it is right if
// nine readers do: all but docker, envparse and kubectl. Write returns what those
// three misread. If there is no form for a value, the error names all such
// variables and no value.
func Write(vars []Variable, target string) (text string, misread []Misread, err error) {
	targets := common()
	if target != "" {
		r, err := find(target)
		if err != nil {
			return "", nil, err
		}
		targets = []reader{r}
	}
	if err := checkNames(vars); err != nil {
		return "", nil, err
	}
	var b strings.Builder
	var bad problems
	for _, v := range vars {
		line, ok := assignment(v, targets, target == "")
		if !ok {
			bad = append(bad, v.Name+": "+whyNot(v, targets, target))
			continue
		}
		b.WriteString(line)
	}
	if len(bad) > 0 {
		return "", nil, bad.err("dotenv has no form for the values of these", notWritten(target))
	}
	for _, r := range targets {
		if names, _ := r.misreads(b.String(), vars); len(names) > 0 {
			return "", nil, &nebula.Error{Kind: nebula.ErrInternal, Message: r.name + " would not read the file as it is meant: " + strings.Join(names, ", ")}
		}
	}
	if target == "" {
		misread = misreadBy(b.String(), vars)
	}
	return b.String(), misread, nil
}

// checkNames refuses names that some reader does not accept, and duplicates.
func checkNames(vars []Variable) error {
	seen := make(map[string]bool, len(vars))
	for _, v := range vars {
		switch {
		case !isName(v.Name):
			return &nebula.Error{Kind: nebula.ErrUsage, Message: fmt.Sprintf("%q cannot be the name of a variable", v.Name),
				Hint: "names consist of A-Z a-z 0-9 _ and do not begin with a digit"}
		case seen[v.Name]:
			return &nebula.Error{Kind: nebula.ErrUsage, Message: v.Name + " is there twice"}
		}
		seen[v.Name] = true
	}
	return nil
}

// assignment returns the line, or lines, that the targets read as v. With careful,
// only characters that are plain to everybody stand without quotes.
func assignment(v Variable, targets []reader, careful bool) (string, bool) {
	if strings.Contains(v.Value, "\x00") {
		return "", false // which no environment holds
	}
	for i, form := range forms(v.Value) {
		line := v.Name + "=" + form + "\n"
		if i == 0 && careful && !isPlain(v.Value) {
			continue
		}
		right := func(r reader) bool { return r.next(line) == statement{name: v.Name, value: v.Value, end: len(line)} }
		if !slices.ContainsFunc(targets, func(r reader) bool { return !right(r) }) {
			return line, true
		}
	}
	return "", false
}

// forms are the ways to write a value, in the order in which they are tried.
func forms(value string) []string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
	oneLine := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`)
	return []string{value, "'" + value + "'", `"` + escaped.Replace(value) + `"`, `"` + oneLine.Replace(value) + `"`}
}

func isPlain(value string) bool {
	return prefixLen(value, func(c byte) bool {
		return isLetter(c) || isDigit(c) || strings.IndexByte("_+/=.,-@%", c) >= 0
	}) == len(value)
}

// whyNot says what is known about the reason, and shows nothing of the value.
func whyNot(v Variable, targets []reader, target string) string {
	if strings.Contains(v.Value, "\x00") {
		return "a NUL byte"
	}
	if target != "" {
		return "not for " + target
	}
	var able, unable []string
	for _, r := range targets {
		if _, ok := assignment(v, []reader{r}, false); ok {
			able = append(able, r.name)
		} else {
			unable = append(unable, r.name)
		}
	}
	switch {
	case len(unable) == 0:
		return "no form is right for all nine readers; for each alone there is one"
	case len(able) == 0:
		return "not for any of the nine readers"
	}
	return "not for " + strings.Join(unable, ", ")
}

func notWritten(target string) string {
	if target == "" {
		return "name the reader with --for, or choose --format json; --trim cuts a newline at the end"
	}
	return "if the cause is a newline at the end: --trim; else choose --format json, or leave them out"
}

// misreads returns the names of the variables that the reader does not read from
// the text as they are, and whether it refuses the text.
func (r reader) misreads(text string, vars []Variable) (names []string, refused bool) {
	got := make(map[string]string)
	for rest := text; rest != ""; {
		s := r.next(rest)
		if s.does == assigns {
			got[s.name] = s.value
		}
		refused = refused || s.does == refuses
		rest = rest[s.end:]
	}
	for _, v := range vars {
		if value, ok := got[v.Name]; !ok || value != v.Value {
			names = append(names, v.Name)
		}
	}
	return names, refused
}

// misreadBy asks the readers that the text was not written for.
func misreadBy(text string, vars []Variable) []Misread {
	var all []Misread
	for _, r := range readers() {
		if !r.apart {
			continue
		}
		if names, refused := r.misreads(text, vars); len(names) > 0 {
			all = append(all, Misread{r.name, names, refused})
		}
	}
	return all
}
