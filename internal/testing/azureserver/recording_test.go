package azureserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recording is a line of the file: a request and the service's answer.
type recording struct {
	Scenario   string  `json:"scenario"`
	Step       int     `json:"step"`
	APIVersion *string `json:"api_version"`
	Request    struct {
		Method string            `json:"method"`
		Path   string            `json:"path"`
		Query  map[string]string `json:"query"`
		Body   any               `json:"body"`
	} `json:"request"`
	Response struct {
		Status    int               `json:"status"`
		Headers   map[string]string `json:"headers"`
		ErrorCode string            `json:"error_code"`
		InnerCode string            `json:"inner_error_code"`
		BodyShape any               `json:"body_shape"`
	} `json:"response"`
	Repeats  int      `json:"repeats"`
	Seconds  *float64 `json:"seconds_after_previous_step"`
	Observed []string `json:"observed"`
}

// readRecordings returns the scenarios in the order of the file.
func readRecordings(t *testing.T, path string) (names []string, scenarios map[string][]recording) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scenarios = map[string][]recording{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
		if scenarios[r.Scenario] == nil {
			names = append(names, r.Scenario)
		}
		scenarios[r.Scenario] = append(scenarios[r.Scenario], r)
	}
	if err := lines.Err(); err != nil || len(names) == 0 {
		t.Fatalf("%s: %d scenarios, %v", path, len(names), err)
	}
	return names, scenarios
}

// says reports whether an observation contains the text, in any case.
func (r *recording) says(text string) bool {
	return strings.Contains(strings.ToLower(strings.Join(r.Observed, "\n")), strings.ToLower(text))
}

// event is one request of a replay: a recording, at one of its repetitions.
type event struct {
	*recording
	index int           // 1 for the first repetition
	at    time.Duration // since the beginning of the scenario
}

// label names the event in messages.
func (e *event) label() string {
	s := fmt.Sprintf("step %d", e.Step)
	if e.Repeats > 1 {
		s += fmt.Sprintf(" (%d of %d)", e.index, e.Repeats)
	}
	return s + " " + e.Request.Method + " " + e.Request.Path
}

var repetitionTimes = regexp.MustCompile(`(\d+) s\b`)

// schedule gives the requests of a scenario their times. Times were recorded in
// seconds. Within a second, the requests are a millisecond apart.
func schedule(steps []recording) []*event {
	var events []*event
	var now time.Duration
	for i := range steps {
		r := &steps[i]
		var gap time.Duration
		if r.Seconds != nil {
			gap = time.Duration(*r.Seconds * float64(time.Second))
		}
		// If it was updated after it was made, that was not in the same second.
		if gap == 0 && strings.Contains(fmt.Sprint(r.Response.BodyShape), "unix>created") {
			gap = time.Second
		}
		now += gap
		offsets := r.offsets()
		begin := now
		for n := range max(1, r.Repeats) {
			if n < len(offsets) {
				now = max(now, begin+offsets[n])
			}
			now += time.Millisecond
			events = append(events, &event{recording: r, index: n + 1, at: now})
		}
	}
	return events
}

// offsets returns the times of the repetitions if an observation gives all of them,
// such as "polls at 0 s and 2 s".
func (r *recording) offsets() []time.Duration {
	for _, text := range r.Observed {
		found := repetitionTimes.FindAllStringSubmatch(text, -1)
		if len(found) < 2 || len(found) != r.Repeats {
			continue
		}
		var offsets []time.Duration
		for _, f := range found {
			n, _ := strconv.Atoi(f[1])
			offsets = append(offsets, time.Duration(n)*time.Second)
		}
		return offsets
	}
	return nil
}
