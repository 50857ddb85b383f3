package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// The forms of output.
const (
	outputText = "text"
	outputJSON = "json"
)

// print writes data: value as JSON if -o json is set, and else the output of
// text.
func (a *app) print(value any, text func(io.Writer) error) error {
	if a.global.output == outputJSON {
		return outputError(writeJSON(a.stdout, value))
	}
	var b bytes.Buffer
	if err := text(&b); err != nil {
		return err
	}
	_, err := a.stdout.Write(b.Bytes())
	return outputError(err)
}

func outputError(err error) error {
	if err == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "standard output cannot be written: " + atomicfile.Reason(err), Err: err}
}

// writeJSON writes one line. Characters that a terminal would obey are written
// as \u….
func writeJSON(w io.Writer, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	defer clear(text)
	_, err := w.Write(append(escapeJSON(text), '\n'))
	return err
}

// escapeJSON returns JSON that means the same and has no hostile characters.
// These can occur only in strings.
func escapeJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, isHostile) {
		return text
	}
	var out []byte
	for _, r := range string(text) {
		switch {
		case !isHostile(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// isHostile reports the characters that change what a terminal shows of the
// others: control characters and those of writing from right to left.
func isHostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) ||
		r == '\u2028' || r == '\u2029'
}

// escape makes text from a backend harmless.
func escape(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, isHostile) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !isHostile(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeLines is escape for text of our own that has several lines.
func escapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = escape(line)
	}
	return strings.Join(lines, "\n")
}

// table writes rows in columns; the first one is the head. If a row does not
// fit the terminal, each is written as lines: its first cell, then the others
// with the names of their columns.
func (a *app) table(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if row[i] = escape(cell); i < len(row)-1 { // the last one needs no space
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			}
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = alignRow(row, widths)
		if a.columns > 0 && utf8.RuneCountInString(lines[i]) > a.columns {
			return writeBlocks(w, rows)
		}
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return nil
}

func alignRow(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
	}
	return strings.TrimRight(b.String(), " ")
}

func writeBlocks(w io.Writer, rows [][]string) error {
	head := rows[0]
	for _, row := range rows[1:] {
		fmt.Fprintln(w, row[0])
		for i, cell := range row[1:] {
			if cell != "" && cell != "-" {
				fmt.Fprintf(w, "  %s: %s\n", strings.ToLower(head[i+1]), cell)
			}
		}
	}
	return nil
}

// tell writes one or more lines to standard error.
func (a *app) tell(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(a.stderr, "nebula: %s\n", escape(line))
	}
}

// warn is tell for problems that should be mended.
func (a *app) warn(text string) {
	fmt.Fprintf(a.stderr, "%s %s\n", a.paint(yellow, "nebula: warning:"), escapeLines(text))
}

// done tells a person, and no script, that a command succeeded.
func (a *app) done(text string) {
	if a.stderrIsTerminal && a.global.output == outputText {
		a.tell(text)
	}
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours text for standard error, if that is a terminal and the user
// wants colour.
func (a *app) paint(colour, text string) string { return a.colour(a.stderrIsTerminal, colour, text) }

func (a *app) colour(isTerminal bool, colour, text string) string {
	if !isTerminal || a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// getenv returns a variable of the environment.
func (a *app) getenv(name string) string {
	for _, entry := range a.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// metadataJSON is metadata as records have it.
type metadataJSON struct {
	CreatedAt      string            `json:"created_at"`
	LastModified   string            `json:"last_modified"`
	LastAccessed   string            `json:"last_accessed,omitempty"`
	CreatedBy      string            `json:"created_by,omitempty"`
	Scope          string            `json:"scope,omitempty"`
	RotationPolicy *rotationJSON     `json:"rotation_policy,omitempty"`
	Tags           map[string]string `json:"tags"`
}

type rotationJSON struct {
	IntervalDays uint32 `json:"interval_days"`
}

func metadataOf(m nebula.Metadata) *metadataJSON {
	out := &metadataJSON{
		CreatedAt:    formatTime(m.CreatedAt),
		LastModified: formatTime(m.LastModified),
		LastAccessed: formatTime(m.LastAccessed),
		CreatedBy:    m.CreatedBy,
		Scope:        m.Scope,
		Tags:         m.Tags,
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	if days := m.RotationPolicy.IntervalDays; days > 0 {
		out.RotationPolicy = &rotationJSON{days}
	}
	return out
}

// formatTime writes a time as records do: with 0, 3, 6 or 9 digits of a second.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	layout := "2006-01-02T15:04:05.000000000Z"
	for _, shorter := range []struct {
		digits time.Duration
		layout string
	}{{time.Microsecond, "2006-01-02T15:04:05.000000Z"}, {time.Millisecond, "2006-01-02T15:04:05.000Z"}, {time.Second, "2006-01-02T15:04:05Z"}} {
		if t.Nanosecond()%int(shorter.digits) == 0 {
			layout = shorter.layout
		}
	}
	return t.UTC().Format(layout)
}
