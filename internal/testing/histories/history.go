package histories

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Kind is what a call does.
type Kind string

// The kinds of calls.
const (
	Put    Kind = "put"
	Get    Kind = "get"
	Delete Kind = "delete"
)

// Outcome is how a call ended.
type Outcome string

// The outcomes. Unclear is for every failure that is neither Absent nor Refused.
const (
	Done    Outcome = "done"
	Absent  Outcome = "absent"  // of a Get: there is none; of a Delete: there was none
	Refused Outcome = "refused" // its condition did not hold, and it changed nothing
	Unclear Outcome = "unclear" // it may have happened, or may happen yet; a Get that failed says nothing
)

// Call is one call and its outcome.
type Call struct {
	Client int  `json:"client"` // numbered by the history
	Kind   Kind `json:"kind"`

	// The condition of a Put, at most one of the two. A Delete can have only the
	// second.
	IfAbsent  bool   `json:"if_absent,omitempty"`
	IfVersion string `json:"if_version,omitempty"`

	Value   string  `json:"value,omitempty"`   // the value written or read; it may be a digest
	Version string  `json:"version,omitempty"` // of the value written or read; "" if it is not known
	Outcome Outcome `json:"outcome,omitempty"` // "" while it runs
	Begin   int64   `json:"begin,omitempty"`   // Unix time in nanoseconds
	End     int64   `json:"end,omitempty"`
}

func (c Call) String() string {
	text := fmt.Sprintf("client %d: %s", c.Client, c.Kind)
	if c.Value != "" {
		text += fmt.Sprintf(" %q", c.Value)
	}
	switch {
	case c.IfAbsent:
		text += " if absent"
	case c.IfVersion != "":
		text += " if version is " + c.IfVersion
	}
	text += ": " + string(c.Outcome)
	if c.Version != "" {
		text += ", version " + c.Version
	}
	return text
}

// History is a record of calls. It is safe for several goroutines.
type History struct {
	base time.Time // so that a change of the clock cannot change the order of calls

	mu      sync.Mutex
	file    io.Writer
	failure error // of writing to the file
	calls   []*Call
	clients int
	start   state
}

// New returns an empty history of a credential that does not exist yet.
func New() *History { return &History{base: time.Now()} }

// NewFile is New for one of several processes. It writes each call to the file, a line
// when it begins and one when it ends, before the caller goes on. The processes must be
// on one machine, and so have one clock.
func NewFile(w io.Writer) *History {
	h := New()
	h.file = w
	return h
}

// Starts sets the state of the credential before the first call.
func (h *History) Starts(value, version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.start = state{there: true, value: value, version: version}
}

// now returns a time that does not go back within a process.
func (h *History) now() int64 { return h.base.UnixNano() + int64(time.Since(h.base)) }

// Client is a caller that makes one call after another.
type Client struct {
	history *History
	number  int
}

// Client returns a new client.
func (h *History) Client() *Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients++
	return &Client{history: h, number: h.clients}
}

// Begin records that a call begins: its kind and, for a Put, its value and its
// condition. Call end once, when the call has returned: it records the outcome and, for
// a Get, the value. version may be "".
func (c *Client) Begin(call Call) (end func(outcome Outcome, value, version string)) {
	h := c.history
	h.mu.Lock()
	defer h.mu.Unlock()
	number := len(h.calls)
	call.Client, call.Outcome, call.Begin = c.number, "", h.now()
	h.calls = append(h.calls, &call)
	h.write(line{number, call})
	return func(outcome Outcome, value, version string) {
		at := h.now() // when the call returned, however long the lock takes
		h.mu.Lock()
		defer h.mu.Unlock()
		if call.Kind == Get {
			call.Value = value
		}
		call.Outcome, call.Version, call.End = outcome, version, at
		h.write(line{number, call})
	}
}

// Calls returns all calls so far, in the order in which they began.
func (h *History) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Call, len(h.calls))
	for i, c := range h.calls {
		out[i] = *c
	}
	slices.SortStableFunc(out, func(a, b Call) int { return cmp.Compare(a.Begin, b.Begin) })
	return out
}

// Count returns how many calls of a kind had an outcome.
func (h *History) Count(kind Kind, outcome Outcome) int {
	n := 0
	for _, c := range h.Calls() {
		if c.Kind == kind && c.Outcome == outcome {
			n++
		}
	}
	return n
}

// line is one line of a file: the number of the call in its process, and what is known.
type line struct {
	Number int `json:"number"`
	Call
}

func (h *History) write(l line) {
	if h.file == nil || h.failure != nil {
		return
	}
	data, err := json.Marshal(l)
	if err == nil {
		_, err = h.file.Write(append(data, '\n'))
	}
	h.failure = err
}

// Err returns why calls could not be written to the file, or nil.
func (h *History) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure
}

// Read joins the files of several processes. The last line of each may be torn.
func Read(files ...io.Reader) (*History, error) {
	h := New()
	for i, file := range files {
		if err := h.read(file); err != nil {
			return nil, fmt.Errorf("histories: file %d: %w", i+1, err)
		}
	}
	return h, nil
}

func (h *History) read(file io.Reader) error {
	calls := map[int]*Call{}
	clients := map[int]int{}
	for decoder := json.NewDecoder(file); ; {
		var l line
		switch err := decoder.Decode(&l); {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return err
		}
		if clients[l.Client] == 0 {
			h.clients++
			clients[l.Client] = h.clients
		}
		l.Client = clients[l.Client]
		if calls[l.Number] == nil {
			calls[l.Number] = &Call{}
			h.calls = append(h.calls, calls[l.Number])
		}
		*calls[l.Number] = l.Call
	}
}
