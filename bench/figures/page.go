package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// marked finds the tables of the page. Each is between two comments.
var marked = regexp.MustCompile(`(?s)(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end -->)`)

// render returns the page and the pictures as they should be, by path.
func render(root string) (map[string]string, error) {
	page := filepath.Join(root, "docs", "performance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	tablesText := make(map[string]string)
	for _, t := range tables {
		r, err := readResults(root, t.name)
		if err != nil {
			return nil, err
		}
		lines, err := t.lines(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		picture := t.picture(lines)
		if picture != "" {
			files[filepath.Join(root, "docs", "figures", t.name+".svg")] = picture
		}
		tablesText[t.name] = t.markdown(r, lines, picture != "")
	}
	files[page] = marked.ReplaceAllStringFunc(string(text), func(section string) string {
		m := marked.FindStringSubmatch(section)
		return m[1] + tablesText[m[2]] + m[3]
	})
	return files, nil
}

// line is a row with its figure, if that could be measured.
type line struct {
	row
	figure
	measured bool
}

func (t table) lines(r *results) ([]line, error) {
	all := make([]line, len(t.rows))
	for i, w := range t.rows {
		f, err := r.figure(w)
		if err != nil && !errors.Is(err, errSkipped) {
			return nil, err
		}
		all[i] = line{w, f, err == nil}
	}
	return all, nil
}

// markdown writes the section of a table: picture, table, how to repeat it, and the
// circumstances.
func (t table) markdown(r *results, lines []line, pictured bool) string {
	cells := [][]string{t.headings()}
	told := make(map[string]bool) // benchmarks whose extras a row has already
	for _, l := range lines {
		row := l.cells()
		for _, e := range t.extras {
			text := ""
			if value, ok := r.values[l.benchmark][e.unit]; ok && !told[l.benchmark] {
				text = quantity(value, e.unit)
			}
			row = append(row, text)
		}
		told[l.benchmark] = true
		rounds := ""
		if l.measured && isRatio(l.unit) {
			rounds = fmt.Sprint(l.rounds)
		}
		cells = append(cells, append(row, rounds))
	}
	var b strings.Builder
	if pictured {
		fmt.Fprintf(&b, "\n![%s](figures/%s.svg)\n", t.title(), t.name)
	}
	b.WriteString("\n")
	writeCells(&b, cells)
	fmt.Fprintf(&b, "\n`scripts/bench %s`: %s.\n\n", t.name, r.circumstances())
	return b.String()
}

func (t table) headings() []string {
	ratio := "ratio"
	if t.faster() {
		ratio = "times as fast"
	}
	all := []string{"", t.beside, cmp.Or(t.what, "nebula"), ratio, "goal", ""}
	for _, e := range t.extras {
		all = append(all, e.heading)
	}
	return append(all, "rounds")
}

// cells returns the columns that every table has, except the rounds.
func (l line) cells() []string {
	name := l.label
	if l.note != "" {
		name += ": " + l.note
	}
	goal := l.goal.text(l.unit)
	if !l.measured {
		return []string{name, "", "", errSkipped.Error(), goal, ""}
	}
	value := quantity(l.value, l.unit)
	switch {
	case l.high > 0:
		value += fmt.Sprintf(" (%s–%s)", digits(l.low), digits(l.high))
		return []string{name, quantity(l.bare, "ns"), quantity(l.nebula, "ns"), value, goal, l.goal.verdict(l.figure)}
	case isRatio(l.unit):
		return []string{name, "", "", value, goal, l.goal.verdict(l.figure)}
	default:
		return []string{name, "", value, "", goal, l.goal.verdict(l.figure)}
	}
}

// writeCells writes a table without its empty columns.
func writeCells(b *strings.Builder, cells [][]string) {
	var columns []int
	for column := range cells[0] {
		for _, row := range cells[1:] {
			if row[column] != "" {
				columns = append(columns, column)
				break
			}
		}
	}
	for i, row := range cells {
		for _, column := range columns {
			b.WriteString("| " + row[column] + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
		}
	}
}

// circumstances says when and on what the results were recorded.
func (r *results) circumstances() string {
	date := r.config["date"]
	if day, err := time.Parse(time.DateOnly, date); err == nil {
		date = day.Format("2 January 2006")
	}
	return fmt.Sprintf("%s, commit %s, %s cores, %s, %s, load %s before and %s after", date, r.config["commit"], r.config["cores"],
		r.config["file-system"], r.config["go"], r.config["load-before"], r.config["load-after"])
}
