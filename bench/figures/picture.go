package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes in the picture, in pixels.
const (
	width     = 840
	barsLeft  = 270
	barsRight = 640
	step      = 26 // from bar to bar
	barHeight = 14
	top       = 44
)

const style = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1f2328 }
    .background { fill: #ffffff; stroke: #d0d7de }
    .note { fill: #59636e }
    .met { fill: #54aeff }
    .missed { fill: #fb8f44 }
    .without { fill: #afb8c1 }
    .grid { stroke: #8c959f; stroke-dasharray: 3 3 }
    .quartiles { stroke: #1f2328 }
    .goal { stroke: #1f2328; stroke-width: 3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .background { fill: #0d1117; stroke: #3d444d }
      .note { fill: #9198a1 }
      .met { fill: #1f6feb }
      .missed { fill: #bd561d }
      .without { fill: #656c76 }
      .quartiles, .goal { stroke: #e6edf3 }
    }
`

// picture draws the ratios of a table as bars, each with its quartiles and its goal.
// A table without ratios has none.
func (t table) picture(lines []line) string {
	var bars []line
	for _, l := range lines {
		if l.measured && isRatio(l.unit) {
			bars = append(bars, l)
		}
	}
	if len(bars) == 0 {
		return ""
	}
	at := t.scale(bars)
	bottom := top + step*len(bars)
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", width, bottom+26, width, bottom+26)
	fmt.Fprintf(&b, "  <title>%s</title>\n  <style>%s  </style>\n", html.EscapeString(t.title()), style)
	fmt.Fprintf(&b, "  <rect class=\"background\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width-1, bottom+25)
	fmt.Fprintf(&b, "  <text class=\"note\" x=\"16\" y=\"26\">%s</text>\n", html.EscapeString(t.title()))
	from := at(0)
	if t.logarithmic {
		from = at(1)
	}
	for _, ratio := range t.grid(bars) {
		fmt.Fprintf(&b, "  <line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", at(ratio), top-4, at(ratio), bottom)
		fmt.Fprintf(&b, "  <text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", at(ratio), bottom+14, digits(ratio))
	}
	for i, l := range bars {
		l.draw(&b, top+i*step, from, at)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// title says what a bar shows.
func (t table) title() string {
	if t.faster() {
		return fmt.Sprintf("How many times as fast %s is as %s. Mark: the goal.", cmp.Or(t.what, "Nebula"), t.beside)
	}
	title := fmt.Sprintf("How many times as long %s takes as %s. Thin line: the middle half of the rounds.", cmp.Or(t.what, "Nebula"), t.beside)
	for _, w := range t.rows {
		if isRatio(w.unit) && w.goal.limit > 0 {
			return title + " Mark: the goal."
		}
	}
	return title
}

// faster reports whether more is better.
func (t table) faster() bool { return strings.HasSuffix(t.rows[0].unit, "-times") }

// grid returns the ratios that get a line: 1, and each power of ten.
func (t table) grid(bars []line) []float64 {
	all := []float64{1}
	if t.logarithmic {
		for ratio := 10.0; ratio <= most(bars); ratio *= 10 {
			all = append(all, ratio)
		}
		for ratio := 0.1; ratio >= least(bars); ratio /= 10 {
			all = append(all, ratio)
		}
	}
	return all
}

// scale returns the position of a ratio from left to right. There is room beyond the
// longest bar, and quartiles that lie beyond the edge are cut off.
func (t table) scale(bars []line) func(ratio float64) float64 {
	least, most := least(bars), most(bars)
	return func(ratio float64) float64 {
		part := ratio / most
		if t.logarithmic {
			part = math.Log(max(ratio, least)/least) / math.Log(most/least)
		}
		return barsLeft + min(part, 1)*(barsRight-barsLeft)
	}
}

func most(bars []line) float64 {
	most := 1.0
	for _, l := range bars {
		most = max(most, l.value, l.goal.limit)
	}
	return most * 5 / 4
}

func least(bars []line) float64 {
	least := 1.0
	for _, l := range bars {
		least = min(least, l.value)
	}
	return least * 4 / 5
}

// draw draws one bar, with its label on the left and its figure on the right.
func (l line) draw(b *strings.Builder, y int, from float64, at func(float64) float64) {
	class := l.goal.verdict(l.figure)
	if class == "" {
		class = "without"
	}
	middle, end := y+barHeight/2, at(l.value)
	fmt.Fprintf(b, "  <text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", barsLeft-10, y+barHeight-2, html.EscapeString(strings.ReplaceAll(l.label, "`", "")))
	fmt.Fprintf(b, "  <rect class=%q x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, min(from, end), y, math.Abs(end-from), barHeight)
	right := max(from, end)
	if l.high > 0 {
		fmt.Fprintf(b, "  <line class=\"quartiles\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", at(l.low), middle, at(l.high), middle)
		right = max(right, at(l.high))
	}
	text := digits(l.value)
	if l.goal.limit > 0 {
		goal := at(l.goal.limit)
		fmt.Fprintf(b, "  <line class=\"goal\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", goal, y-3, goal, y+barHeight+3)
		right = max(right, goal)
		text += ", goal " + l.goal.text(l.unit) + ": " + class
	}
	fmt.Fprintf(b, "  <text x=\"%.1f\" y=\"%d\">%s</text>\n", right+8, y+barHeight-2, html.EscapeString(text))
}
