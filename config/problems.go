package config

import (
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
)

// problems collects all problems, so that one error reports them.
type problems []problem

type problem struct{ text, fix string }

func (p *problems) add(where, format string, args ...any) {
	*p = append(*p, problem{text: where + ": " + fmt.Sprintf(format, args...)})
}

// addError adds the problem that an error of another package describes.
func (p *problems) addError(where string, err error) {
	text, fix := err.Error(), ""
	if e, ok := err.(*nebula.Error); ok { //nolint:errorlint // the outermost one
		text, fix = e.Message, e.Hint
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if where != "" {
			line = where + ": " + line
		}
		*p = append(*p, problem{text: line})
	}
	if n := len(*p); n > 0 {
		(*p)[n-1].fix = fix
	}
}

// err returns one error with a line for each problem, or nil.
func (p problems) err() error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration", Message: p[0].text, Hint: p[0].fix}
	}
	lines := []string{fmt.Sprintf("%d problems", len(p))}
	for _, one := range p {
		line := one.text
		if one.fix != "" {
			line += "; " + one.fix
		}
		lines = append(lines, line)
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration", Message: strings.Join(lines, "\n")}
}

// suggest returns a phrase that names the known word that was probably meant, or
// "".
func suggest(word string, known []string) string {
	best, minimum := "", len(word)/3+2
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < minimum {
			best, minimum = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the characters to insert, delete, replace or swap with a
// neighbour to get from a to b.
func distance(a, b string) int {
	const maxWord = 100 // longer words are not compared
	if len(a) > maxWord || len(b) > maxWord {
		return 1 << 30
	}
	var rows [3][]int
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	before, last, now := rows[0], rows[1], rows[2]
	for j := range now {
		now[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now = last, now, before
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return now[len(b)]
}
