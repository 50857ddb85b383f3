package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/transfer"
)

// meter shows how far a copy is: on a terminal a line that changes, else a line
// now and then.
type meter struct {
	app   *app
	verb  string // copying, moving
	every time.Duration
	now   func() time.Time

	planning bool
	began    time.Time // of the phase
	shown    time.Time // the last line
	line     bool      // whether one is on the terminal
}

const (
	meterOnTerminal = 100 * time.Millisecond
	meterElsewhere  = 10 * time.Second
)

func (a *app) meter(move bool) *meter {
	m := &meter{app: a, verb: "copying", every: meterElsewhere, now: time.Now}
	if move {
		m.verb = "moving"
	}
	if a.stderrIsTerminal {
		m.every = meterOnTerminal
	}
	return m
}

// set shows the progress, not more often than is good to read.
func (m *meter) set(p transfer.Progress) {
	now := m.now()
	if m.began.IsZero() || p.Planning != m.planning {
		m.planning, m.began, m.shown = p.Planning, now, now
	}
	if m.app.global.output == outputJSON || now.Sub(m.shown) < m.every {
		return
	}
	m.shown = now
	text := m.text(p, now.Sub(m.began))
	if !m.app.stderrIsTerminal {
		m.app.tell(text)
		return
	}
	m.line = true
	fmt.Fprint(m.app.stderr, "\r\x1b[K"+cut(escape(text), m.app.errColumns()-1))
}

// end takes the line away, so that the next message begins on it.
func (m *meter) end() {
	if m.line {
		fmt.Fprint(m.app.stderr, "\r\x1b[K")
		m.line = false
	}
}

// text is one line: "copying 312 of 1000, 0.6 MiB, 41/s, 17s left; last error: …".
func (m *meter) text(p transfer.Progress, took time.Duration) string {
	parts := []string{}
	if p.Planning {
		parts = append(parts, fmt.Sprintf("looking at %d of %d", p.Done, p.Total))
	} else {
		parts = append(parts, fmt.Sprintf("%s %d of %d", m.verb, p.Done, p.Total), byteCount(p.Bytes))
	}
	if rate := float64(p.Done) / took.Seconds(); took > 0 && p.Done > 0 {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		parts = append(parts, fmt.Sprintf("%.0f/s", rate), left.Round(time.Second).String()+" left")
	}
	text := strings.Join(parts, ", ")
	if p.LastError != nil {
		f := m.app.failureOf(p.LastError)
		text += "; last error: " + strings.TrimSpace(string(f.ID)+" ") + " " + f.Message
	}
	return text
}

// cut shortens a text to so many characters.
func cut(text string, columns int) string {
	if columns <= 1 || utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// errColumns is the width of the terminal that standard error is; 80 if it is not
// known.
func (a *app) errColumns() int {
	if a.columns > 0 {
		return a.columns
	}
	return 80
}
