// Package cast stores as text what a terminal showed, in asciinema's format asciicast
// v2, and draws it as SVG.
package cast

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Cast is a recording.
type Cast struct {
	Width, Height int // of the terminal, in characters
	Title         string
	Events        []Event
}

// Event is something that the terminal showed.
type Event struct {
	At   float64 // seconds since the beginning
	Text string  // with the escape sequences of a terminal
}

type header struct {
	Version int    `json:"version"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Title   string `json:"title,omitempty"`
}

// Every recording has this pace, so that two recordings differ only if the output of
// the programs does.
const (
	typing  = 1.5 // seconds, for a command
	working = 0.5 // until it prints
)

// Type adds a prompt, a command that somebody types, and its output.
func (c *Cast) Type(command, printed string) {
	at := 0.0
	if n := len(c.Events); n > 0 {
		at = c.Events[n-1].At
	}
	c.Events = append(c.Events, Event{at + typing, "$ " + command + "\r\n"})
	if printed != "" {
		c.Events = append(c.Events, Event{at + typing + working, printed})
	}
}

// WriteTo writes the recording as asciicast v2: a line of JSON for the terminal, and
// one for each event.
func (c *Cast) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	line := json.NewEncoder(&b)
	line.SetEscapeHTML(false)
	if err := line.Encode(header{2, c.Width, c.Height, c.Title}); err != nil {
		return 0, err
	}
	for _, e := range c.Events {
		if err := line.Encode([]any{e.At, "o", e.Text}); err != nil {
			return 0, err
		}
	}
	return b.WriteTo(w)
}

// Read reads asciicast v2. It refuses events other than output, because this package
// writes none.
func Read(r io.Reader) (*Cast, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		return nil, fmt.Errorf("no header: %w", lines.Err())
	}
	var h header
	if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Version != 2 || h.Width < 1 || h.Height < 1 {
		return nil, fmt.Errorf("version %d, %d × %d", h.Version, h.Width, h.Height)
	}
	c := &Cast{Width: h.Width, Height: h.Height, Title: h.Title}
	for lines.Scan() {
		var kind string
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &[]any{&e.At, &kind, &e.Text}); err != nil || kind != "o" {
			return nil, fmt.Errorf("event %q: %v", lines.Text(), err)
		}
		c.Events = append(c.Events, e)
	}
	return c, lines.Err()
}

// text returns everything that was shown.
func (c *Cast) text() string {
	var b strings.Builder
	for _, e := range c.Events {
		b.WriteString(e.Text)
	}
	return b.String()
}
