package dotenv

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/matrix.txt
var matrix string

// row holds what was measured for one value in one form.
type row struct {
	form, value string
	wrong       map[string]string // by reader: "refused", or "=" and what was read
}

// formNames are the matrix's names for the forms, in the order of forms.
var formNames = []string{"raw", "sq", "dqe", "dqn"}

func readMatrix(t *testing.T) []row {
	t.Helper()
	names := map[string]string{"python-dotenv": "python", "npm-dotenv": "npm", "dotenvy": "rust"}
	var rows []row
	for line := range strings.Lines(matrix) {
		fields := strings.Fields(line)
		rest := strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(strings.TrimPrefix(line, fields[0]), " "), fields[1]), " ")
		value, rest := pythonLiteral(t, rest)
		rest, found := strings.CutPrefix(strings.TrimSpace(rest), "WRONG: ")
		if !found {
			t.Fatalf("no verdict in %q", line)
		}
		r := row{form: fields[1], value: value, wrong: map[string]string{}}
		for rest != "" && rest != "-" {
			n := strings.IndexAny(rest, "=,")
			if n < 0 {
				n = len(rest)
			}
			name, read := rest[:n], "refused"
			if rest = rest[n:]; strings.HasPrefix(rest, "=") {
				read, rest = pythonLiteral(t, rest[1:])
				read = "=" + read
			}
			rest = strings.TrimPrefix(rest, ", ")
			if names[name] != "" {
				name = names[name]
			}
			r.wrong[name] = read
		}
		rows = append(rows, r)
	}
	return rows
}

// pythonLiteral decodes a literal of Python.
func pythonLiteral(t *testing.T, s string) (value, rest string) {
	t.Helper()
	value, n := pythonValue(s)
	if n < 0 || s[0] != '\'' && s[0] != '"' {
		t.Fatalf("no literal: %q", s)
	}
	if s[0] == '\'' { // Python's own literals know all escapes in both kinds of quotes
		value, _ = pythonQuoted(s, `\'"nrt`, "\\'\"\n\r\t")
	}
	return value, s[n:]
}

// The models give every verdict that was measured. If model and reader both read
// something other than what was written, they read the same.
func TestModelsAgreeWithTheMatrix(t *testing.T) {
	rows := readMatrix(t)
	if len(rows) != 124 {
		t.Fatalf("%d rows", len(rows))
	}
	verdicts := 0
	for _, row := range rows {
		var written string
		for i, name := range formNames {
			if name == row.form {
				written = forms(row.value)[i]
			}
		}
		for _, r := range readers() {
			verdicts++
			line := "A=" + written + "\n"
			s := r.next(line)
			right := s == statement{name: "A", value: row.value, end: len(line)}
			read, wrong := row.wrong[r.name]
			if right == wrong {
				t.Errorf("%s reads %q: the model says %+v, measured was %q", r.name, line, s, read)
			}
			if s.does == assigns && s.end == len(line) && strings.HasPrefix(read, "=") && "="+s.value != read {
				t.Errorf("%s reads %q: the model says %q, measured was %q", r.name, line, s.value, read)
			}
		}
	}
	if verdicts != 124*12 {
		t.Errorf("%d verdicts", verdicts)
	}
}

// Write uses the first form that the matrix shows to be right.
func TestFormsAreThoseOfTheMatrix(t *testing.T) {
	byValue := map[string][]row{}
	for _, row := range readMatrix(t) {
		byValue[row.value] = append(byValue[row.value], row)
	}
	for value, rows := range byValue {
		for _, target := range append(Readers(), "") {
			targets := []string{target}
			if target == "" {
				targets = nil
				for _, r := range common() {
					targets = append(targets, r.name)
				}
			}
			want := "" // in the order of the file: raw, sq, dqe, dqn
			for _, row := range rows {
				right := target != "" || row.form != "raw" || isPlain(value)
				for _, name := range targets {
					_, wrong := row.wrong[name]
					right = right && !wrong
				}
				if right {
					for i, name := range formNames {
						if name == row.form {
							want = "A=" + forms(value)[i] + "\n"
						}
					}
					break
				}
			}
			got, _, err := Write([]Variable{{"A", value}}, target)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("%q for %q is %q (%v), want %q", value, target, got, err, want)
			}
			if err != nil && len(value) > 2 && strings.Contains(err.Error(), value) {
				t.Errorf("the error shows the value: %v", err)
			}
		}
	}
}
