package cast

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

// span is text of one colour. class is a class of the style sheet, or empty.
type span struct{ class, text string }

// Nebula prints only text, line ends, and these colours.
var (
	escape  = regexp.MustCompile("\x1b\\[([0-9;]*)m")
	colours = map[string]string{"": "", "0": "", "1": "b", "2": "dim", "31": "red", "32": "green", "33": "yellow"}
)

// lines returns the whole screen, as if it were high enough for everything.
func (c *Cast) lines() ([][]span, error) {
	var all [][]span
	class := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(c.text(), "\r\n"), "\r\n") {
		var spans []span
		add := func(text string) {
			if text != "" {
				spans = append(spans, span{class, text})
			}
		}
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			command, comment, _ := strings.Cut(command, "  # ")
			spans = append(spans, span{"prompt", "$ "}, span{"b", command})
			if comment != "" {
				spans = append(spans, span{"dim", "  # " + comment})
			}
		} else {
			rest := line
			for {
				at := escape.FindStringSubmatchIndex(rest)
				if at == nil {
					add(rest)
					break
				}
				add(rest[:at[0]])
				colour, ok := colours[rest[at[2]:at[3]]]
				if !ok {
					return nil, fmt.Errorf("line %q: colour %q is not known", line, rest[at[2]:at[3]])
				}
				class, rest = colour, rest[at[1]:]
			}
		}
		width := 0
		for _, s := range spans {
			if strings.ContainsFunc(s.text, func(r rune) bool { return r < ' ' }) {
				return nil, fmt.Errorf("line %q has control characters that are not drawn", line)
			}
			width += len([]rune(s.text))
		}
		if width > c.Width {
			return nil, fmt.Errorf("line %q is longer than %d", line, c.Width)
		}
		all = append(all, spans)
	}
	return all, nil
}

// Sizes in the picture, in pixels.
const (
	fontSize  = 14
	charWidth = 8.43 // of most monospaced fonts, at that size
	lineStep  = 20
	margin    = 16
)

const style = `
    rect { fill: #f6f8fa; stroke: #d0d7de }
    text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; white-space: pre }
    .prompt, .dim { fill: #59636e }
    .b { font-weight: 600 }
    .red { fill: #cf222e }
    .green { fill: #116329 }
    .yellow { fill: #7d4e00 }
    @media (prefers-color-scheme: dark) {
      rect { fill: #0d1117; stroke: #3d444d }
      text { fill: #e6edf3 }
      .prompt, .dim { fill: #9198a1 }
      .red { fill: #ff7b72 }
      .green { fill: #7ee787 }
      .yellow { fill: #e3b341 }
    }
`

// SVG draws everything that was shown, as text that can be read and searched, in the
// colours of the reader's light or dark scheme. It fails if it cannot draw something: a
// line that is too long, or an escape sequence that Nebula does not use.
func (c *Cast) SVG() (string, error) {
	lines, err := c.lines()
	if err != nil {
		return "", err
	}
	width := 2*margin + int(charWidth*float64(c.Width))
	height := 2*margin + lineStep*len(lines)
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", width, height, width, height)
	fmt.Fprintf(&b, "  <title>%s</title>\n  <style>%s  </style>\n", html.EscapeString(c.Title), style)
	fmt.Fprintf(&b, "  <rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width-1, height-1)
	for i, spans := range lines {
		fmt.Fprintf(&b, "  <text xml:space=\"preserve\" x=\"%d\" y=\"%d\">", margin, margin+fontSize+i*lineStep)
		for _, s := range spans {
			if s.class == "" {
				b.WriteString(html.EscapeString(s.text))
				continue
			}
			fmt.Fprintf(&b, "<tspan class=%q>%s</tspan>", s.class, html.EscapeString(s.text))
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}
