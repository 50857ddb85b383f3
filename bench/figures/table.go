package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// table is one table of the page, which one call of scripts/bench records.
type table struct {
	name   string // in the argument, the record and the picture
	beside string // what nebula is compared with: the heading of its column
	what   string // what is compared, if it is not nebula
	runs   []run
	extras []extra
	rows   []row
	// logarithmic draws bars from 1 to both sides. Ratios that differ by more than ten
	// times need it.
	logarithmic bool
	inMemory    bool // with all files on a RAM disk, if there is one
}

// run is one call of go test.
type run struct {
	module     string // its folder, below the root
	pkg        string
	benchmarks []string
	time       string // for -benchtime: "40x" is 40 rounds
}

// extra is a column for a further measurement of some benchmarks.
type extra struct{ heading, unit string }

// row is one line of a table.
type row struct {
	label     string // in the table and the picture
	note      string
	benchmark string // as go test prints it, without "Benchmark" and the number of processors
	unit      string
	goal      goal
}

// Most rows have a ratio of two times, or of two CPU times.
const (
	ratioUnit = "ratio"
	cpuUnit   = "cpu-ratio"
)

// goal is the limit of a figure. A limit of 0 is none.
type goal struct {
	limit float64
	more  time.Duration // time that nebula may take besides the ratio
	least bool          // the figure must be at least the limit, not at most
}

func atMost(limit float64) goal  { return goal{limit: limit} }
func atLeast(limit float64) goal { return goal{limit: limit, least: true} }

// atMostAnd is a ratio, and a time that does not grow with the time of the other side.
func atMostAnd(limit float64, more time.Duration) goal { return goal{limit: limit, more: more} }

// verdict says whether a figure meets the goal. It compares the rounded figure that the
// table shows: 1.604 counts as 1.6.
func (g goal) verdict(f figure) string {
	shown, _ := strconv.ParseFloat(digits(f.value), 64)
	met := shown <= g.limit
	switch {
	case g.limit == 0:
		return ""
	case g.least:
		met = shown >= g.limit
	case g.more > 0:
		met = shown <= g.limit+float64(g.more)/f.bare
	}
	if met {
		return "met"
	}
	return "missed"
}

// text writes a goal for the page.
func (g goal) text(unit string) string {
	if g.limit == 0 {
		return ""
	}
	sign := "≤ "
	if g.least {
		sign = "≥ "
	}
	text := sign + quantity(g.limit, unit)
	if g.more > 0 {
		text += " and " + quantity(float64(g.more), "ns")
	}
	return text
}

// quantity writes a value for people: three digits, and the unit.
func quantity(v float64, unit string) string {
	switch {
	case isRatio(unit):
		return digits(v)
	case unit == "ns" || strings.HasSuffix(unit, "-ns") || unit == "ns/op":
		for _, u := range []struct {
			name string
			ns   float64
		}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
			if v >= u.ns {
				return digits(v/u.ns) + " " + u.name
			}
		}
		return digits(v) + " ns"
	case strings.HasSuffix(unit, "MiB"):
		return digits(v) + " MiB"
	case strings.HasSuffix(unit, "MB"):
		return digits(v) + " MB"
	case strings.HasPrefix(unit, "µs/"):
		return digits(v) + " µs"
	default: // a number of things
		return digits(v)
	}
}

// isRatio reports whether the unit is that of a comparison, not of an amount.
func isRatio(unit string) bool {
	return unit == ratioUnit || unit == cpuUnit || strings.HasSuffix(unit, "-times")
}

// digits writes three digits of a number, as a rule with at most two behind the point.
func digits(v float64) string {
	precision := 0
	switch {
	case v < 0.095:
		precision = 3
	case v < 10:
		precision = 2
	case v < 100:
		precision = 1
	}
	text := fmt.Sprintf("%.*f", precision, v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
