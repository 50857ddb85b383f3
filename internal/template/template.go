// Package template puts credentials into text. A placeholder is
//
//	{{ nebula://[STORE/]ID[?version=V][#FIELD] [| FILTER]… }}
//
// with blanks (spaces and tabs) between its parts. Every other byte passes
// unchanged, also the {{ … }} of other languages. There are no conditions, loops or
// functions.
package template

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/reference"
)

const (
	open   = "{{"
	end    = "}}"
	blanks = " \t"
)

// Template is text with placeholders.
type Template struct {
	text         []byte
	placeholders []placeholder
}

type placeholder struct {
	start, end int // in the text
	at         Position
	ref        reference.Reference
	filters    []filter
}

// Position is where a placeholder begins, both from 1. A column is a byte.
type Position struct{ Line, Column int }

// String returns LINE:COLUMN.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Problem is the error of one placeholder. It shows nothing of a value.
type Problem struct {
	At  Position
	Ref string // "" if it is no reference
	Err error
}

// Error gives position, reference and reason.
func (p *Problem) Error() string {
	if p.Ref == "" {
		return p.At.String() + ": " + messageOf(p.Err)
	}
	return p.At.String() + ": " + p.Ref + ": " + messageOf(p.Err)
}

// Unwrap returns the reason.
func (p *Problem) Unwrap() error { return p.Err }

func messageOf(err error) string {
	var e *nebula.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// Parse finds the placeholders. The error joins a [*Problem] for each that is wrong.
func Parse(text []byte) (*Template, error) {
	t := &Template{text: text}
	var problems []error
	lines := counter{text: text, at: Position{1, 1}}
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte(open))
		if next < 0 {
			return t, errors.Join(problems...)
		}
		start := at + next
		inside := bytes.TrimLeft(text[start+len(open):], blanks)
		if !bytes.HasPrefix(inside, []byte(reference.Scheme)) {
			at = start + 1 // of {{{ the last two may be a beginning
			continue
		}
		p := placeholder{start: start, at: lines.to(start)}
		used, err := p.parse(inside)
		p.end = len(text) - len(inside) + used
		if err != nil {
			problems = append(problems, &Problem{At: p.at, Err: err})
		} else {
			t.placeholders = append(t.placeholders, p)
		}
		at = p.end
	}
}

// parse reads a placeholder from its reference on, and returns how much of the text
// it takes.
func (p *placeholder) parse(text []byte) (used int, err error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	inner, _, closed := bytes.Cut(line, []byte(end))
	if !closed {
		return len(line), wrong("the placeholder does not end: }} is missing on its line")
	}
	used = len(inner) + len(end)
	// A field may have any character but a blank.
	ref, rest := string(inner), ""
	if at := strings.IndexAny(ref, blanks); at >= 0 {
		ref, rest = ref[:at], strings.Trim(ref[at:], blanks+"\r")
	}
	if p.ref, err = reference.Parse(ref); err != nil || rest == "" {
		return used, err
	}
	if rest[0] != '|' {
		return used, wrong("between a reference and }} there are only filters, each after |")
	}
	for part := range strings.SplitSeq(rest[1:], "|") {
		f, err := parseFilter(strings.Fields(part))
		if err != nil {
			return used, err
		}
		p.filters = append(p.filters, f)
	}
	return used, nil
}

func wrong(message string) error { return &nebula.Error{Kind: nebula.ErrUsage, Message: message} }

// counter counts lines.
type counter struct {
	text []byte
	pos  int
	at   Position
}

// to returns the position of an offset, which is not before the last one.
func (c *counter) to(offset int) Position {
	for ; c.pos < offset; c.pos++ {
		c.at.Column++
		if c.text[c.pos] == '\n' {
			c.at = Position{c.at.Line + 1, 1}
		}
	}
	return c.at
}

// References returns the references of the placeholders, in their order.
func (t *Template) References() []reference.Reference {
	refs := make([]reference.Reference, len(t.placeholders))
	for i, p := range t.placeholders {
		refs[i] = p.ref
	}
	return refs
}

// Result is the value of a reference: see [Template.Execute].
type Result struct {
	Value []byte
	Err   error
}

// Execute returns the text with a value in place of each placeholder. results has
// one for each of [Template.References]. The error joins a [*Problem] for each
// that has no value, or whose filters refuse it.
func (t *Template) Execute(results []Result) ([]byte, error) {
	var out bytes.Buffer
	var problems []error
	at := 0
	for i, p := range t.placeholders {
		out.Write(t.text[at:p.start])
		at = p.end
		text, err := results[i].Value, results[i].Err
		if err == nil {
			text, err = p.apply(text)
		}
		if err != nil {
			problems = append(problems, &Problem{At: p.at, Ref: p.ref.String(), Err: err})
		}
		out.Write(text)
	}
	out.Write(t.text[at:])
	if problems != nil {
		clear(out.Bytes())
		return nil, errors.Join(problems...)
	}
	return out.Bytes(), nil
}
