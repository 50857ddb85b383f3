package dotenv

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// Read returns the variables of a file in its order. Each name occurs once.
//
// It accepts the lines that the nine common readers read alike. If a file has
// others, Read refuses it, and gives the numbers of these lines and how the
// readers read each. With the name of a reader as dialect, that reader's rules
// hold, and Read ignores what it ignores. Nothing is ever expanded, run or
// looked up: lines that ask for that are refused either way.
//
// Lines may be of any length and end in \r\n. A byte order mark, blank lines and
// those that begin with # are skipped.
func Read(text []byte, dialect string) ([]Variable, error) {
	f := file{text: strings.TrimPrefix(string(text), "\ufeff"), line: 1, lines: make(map[string]int)}
	if f.text != "" && !strings.HasSuffix(f.text, "\n") {
		f.text += "\n"
	}
	ask := f.agreed
	if dialect != "" {
		r, err := find(dialect)
		if err != nil {
			return nil, err
		}
		ask = f.by(r)
	}
	for f.text != "" {
		line, end := cutLine(f.text)
		if !isSkipped(line) {
			if end = ask(); end == 0 {
				break
			}
		}
		f.line += strings.Count(f.text[:end], "\n")
		f.text = f.text[end:]
	}
	if dialect != "" {
		return f.vars, f.bad.err("not taken", "mend these lines, or put the values in single quotes")
	}
	return f.vars, f.bad.err("the readers of dotenv differ about these lines", "mend them, or name the reader whose rule is meant with --dialect")
}

// isSkipped reports blank lines and comments.
func isSkipped(line string) bool {
	line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
	return line == "" || line[0] == '#' && utf8.ValidString(line) && !strings.Contains(line, "\r")
}

// file has the rest of a file to read, and the variables that were read.
type file struct {
	text  string
	line  int
	vars  []Variable
	lines map[string]int // where a name stands
	bad   problems
}

func (f *file) refuse(format string, args ...any) {
	f.bad = append(f.bad, fmt.Sprintf("line %d: ", f.line)+fmt.Sprintf(format, args...))
}

// agreed reads a statement that the common readers read alike. It returns where
// the next one begins, or 0 if they differ about that.
func (f *file) agreed() int {
	asked := common()
	first := asked[0].next(f.text)
	// Neither of these misreads the lines of others: systemd does not know
	// export, and gotenv ends at a line that is too long for it.
	exports := strings.HasPrefix(strings.TrimLeft(f.text, " \t"), "export ")
	asked = slices.DeleteFunc(asked, func(r reader) bool {
		return exports && r.name == "systemd" || first.end > longestLine && r.name == "gotenv"
	})
	sameEnd, same := true, first.does == assigns && isName(first.name)
	for _, r := range asked[1:] {
		s := r.next(f.text)
		sameEnd = sameEnd && s.end == first.end
		same = same && s == first
	}
	switch {
	case !same:
		f.refuse("%s", f.views())
	case !f.holdsNUL(first):
		f.take(first, unclear)
	}
	if !sameEnd {
		return 0
	}
	return first.end
}

// by reads statements by the rules of one reader.
func (f *file) by(r reader) func() int {
	return func() int {
		s := r.next(f.text)
		switch {
		case s.does == ignores:
			f.forget(s.name)
		case s.does != assigns:
			f.refuse("%s by %s", s.does, r.name)
		case s.name == "" || strings.ContainsFunc(s.name, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
			f.refuse("%s reads a name that is not valid", r.name)
		case !f.holdsNUL(s):
			f.take(s, r.again)
		}
		return s.end
	}
}

func (f *file) holdsNUL(s statement) bool {
	if strings.Contains(s.value, "\x00") {
		f.refuse("a NUL byte")
		return true
	}
	return false
}

// take notes an assignment. again says what a second one to the same name does.
func (f *file) take(s statement, again deed) {
	v := Variable{s.name, s.value}
	before := f.lines[s.name]
	switch {
	case before == 0:
		f.lines[s.name] = f.line
		f.vars = append(f.vars, v)
	case again == assigns:
		f.vars[slices.IndexFunc(f.vars, func(v Variable) bool { return v.Name == s.name })] = v
	case again == refuses || again == unclear:
		f.refuse("the name of line %d once more: of most readers the last counts, of rust the first, of docker both; kubectl refuses it", before)
	}
}

// forget drops what an earlier line assigned: for python, a name alone is a
// variable without a value.
func (f *file) forget(name string) {
	delete(f.lines, name)
	f.vars = slices.DeleteFunc(f.vars, func(v Variable) bool { return v.Name == name })
}

// views says how each reader reads the statement, and shows no part of it.
func (f *file) views() string {
	var said []string
	who := make(map[string][]string)
	values := make(map[string]string) // of views: two may differ and be told alike
	for _, r := range readers() {
		s := r.next(f.text)
		view := f.view(s)
		for v, known := values[view]; known && s.does == assigns && v != s.value; v, known = values[view] {
			view += ", otherwise"
		}
		if who[view] == nil {
			said = append(said, view)
			values[view] = s.value
		}
		who[view] = append(who[view], r.name)
	}
	for i, view := range said {
		said[i] = view + " (" + strings.Join(who[view], ", ") + ")"
	}
	return strings.Join(said, "; ")
}

func (f *file) view(s statement) string {
	if s.does != assigns {
		return string(s.does)
	}
	statement := f.text[:s.end]
	_, raw, _ := strings.Cut(statement, "=")
	raw = strings.TrimSpace(raw)
	last := len(raw) - 1
	quoted := last > 0 && strings.IndexByte("'\"`", raw[0]) >= 0 && raw[0] == raw[last]
	rest, cut := strings.CutPrefix(raw, s.value)
	view := "read in another way"
	switch {
	case !isName(s.name):
		view = "another name"
	case s.value == raw:
		view = "as it stands"
	case quoted && s.value == raw[1:last]:
		view = "without the quotes"
	case cut && strings.HasPrefix(strings.TrimSpace(rest), "#"):
		view = "up to the #"
	case s.value == "":
		view = "empty"
	case strings.Contains(raw, `\`):
		view = "with \\ as an escape"
	}
	if lines := strings.Count(statement, "\n"); lines > 1 {
		view += fmt.Sprintf(", to line %d", f.line+lines-1)
	}
	return view
}

// problems are lines of one error.
type problems []string

// err returns nil if there are none. It shows the first hundred.
func (p problems) err(about, hint string) error {
	const most = 100
	if len(p) == 0 {
		return nil
	}
	if more := len(p) - most; more > 0 {
		p = append(p[:most:most], fmt.Sprintf("and %d more", more))
	}
	return &nebula.Error{Kind: nebula.ErrUsage, Message: about + ":\n" + strings.Join(p, "\n"), Hint: hint}
}
