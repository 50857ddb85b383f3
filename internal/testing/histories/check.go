package histories

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// deciding is the time limit of Verify. The time grows fast with the number of calls
// that run at once. Unclear calls count, because they run to the end. About twenty
// calls are decided in a moment.
const deciding = time.Minute

// state is the state of the credential.
type state struct {
	there   bool
	value   string
	version string // "" if nobody has learned it yet
}

// step reports whether the call could have this outcome in this state, and returns the
// next state.
func step(s state, c Call) (bool, state) {
	switch {
	case c.Outcome == Absent:
		return !s.there, s
	case c.Kind == Get:
		return get(s, c)
	case c.Outcome == Refused:
		return refusable(s, c), s
	case c.Outcome == Unclear && !holds(s, c):
		return true, s
	case c.Kind == Delete:
		// If a repeated deletion finds nothing, the first try has deleted the
		// credential.
		return holds(s, c) || !s.there, state{}
	}
	return holds(s, c), state{there: true, value: c.Value, version: c.Version}
}

// get learns the version from a read if the write did not learn it.
func get(s state, c Call) (bool, state) {
	if !s.there || s.value != c.Value || s.version != "" && c.Version != "" && s.version != c.Version {
		return false, s
	}
	if s.version == "" {
		s.version = c.Version
	}
	return true, s
}

// holds reports whether the condition of a change holds. If nobody knows the version,
// it may be any.
func holds(s state, c Call) bool {
	switch {
	case c.IfAbsent:
		return !s.there
	case c.IfVersion != "":
		return s.there && (s.version == c.IfVersion || s.version == "")
	}
	return true
}

// refusable reports whether a change can be refused. Without a condition, it may be
// refused for other reasons.
func refusable(s state, c Call) bool {
	switch {
	case c.IfAbsent:
		return s.there
	case c.IfVersion != "":
		return !s.there || s.version != c.IfVersion
	}
	return true
}

func (h *History) model() porcupine.Model {
	h.mu.Lock()
	start := h.start
	h.mu.Unlock()
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(s, _, c any) (bool, any) { return step(s.(state), c.(Call)) },
	}
}

// operations returns the calls as far as they had begun at a time. Calls that had not
// ended by then, and unclear ones, run until the end of the history. Reads that had not
// ended are left out: they show nothing.
func operations(calls []Call, until int64) []porcupine.Operation {
	var out []porcupine.Operation
	for _, c := range calls {
		open := c.Outcome == "" || c.Outcome == Unclear || c.End > until
		if c.Begin > until || open && c.Kind == Get {
			continue
		}
		if open {
			c.Outcome, c.Version, c.End = Unclear, "", math.MaxInt64
		}
		out = append(out, porcupine.Operation{ClientId: c.Client, Input: c.Kind, Output: c, Call: c.Begin, Return: c.End})
	}
	return out
}

// Error is the failure of a history if no order explains it.
type Error struct {
	Calls []Call // in the order in which they began
	First int    // the first of them to end that no order explains
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "histories: no order explains these calls; the first that has no place is marked\n")
	from := e.Calls[0].Begin
	for i, c := range e.Calls {
		mark, end := " ", "      …"
		if i == e.First {
			mark = ">"
		}
		if c.End != 0 {
			end = fmt.Sprintf("%9.3f", float64(c.End-from)/1e6)
		}
		fmt.Fprintf(&b, "%s %9.3f %s ms  %s\n", mark, float64(c.Begin-from)/1e6, end, c)
	}
	return b.String()
}

// Check returns nil if the history is linearizable, and an *Error if it is not. It
// returns another error if that was not decided within the limit, or if a value was
// written twice.
func (h *History) Check(limit time.Duration) error {
	calls := h.Calls()
	if err := writtenOnce(calls); err != nil {
		return err
	}
	model := h.model()
	decide := func(until int64) porcupine.CheckResult {
		return porcupine.CheckOperationsTimeout(model, operations(calls, until), limit)
	}
	switch decide(math.MaxInt64 - 1) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("histories: whether %d calls have an order was not decided within %v", len(calls), limit)
	}
	return &Error{Calls: calls, First: first(calls, decide)}
}

// first returns the call whose end leaves the history without an order. If a history
// has an order, so does its beginning: therefore bisection finds the call.
func first(calls []Call, decide func(until int64) porcupine.CheckResult) int {
	byEnd := make([]int, 0, len(calls))
	for i, c := range calls {
		if c.End != 0 {
			byEnd = append(byEnd, i)
		}
	}
	slices.SortFunc(byEnd, func(a, b int) int { return cmp.Compare(calls[a].End, calls[b].End) })
	at := sort.Search(len(byEnd)-1, func(i int) bool { return decide(calls[byEnd[i]].End) != porcupine.Ok })
	return byEnd[at]
}

func writtenOnce(calls []Call) error {
	seen := map[string]bool{}
	for _, c := range calls {
		if c.Kind == Put && seen[c.Value] {
			return fmt.Errorf("histories: the value %q is written twice, so that reads do not tell the writes apart", c.Value)
		}
		seen[c.Value] = seen[c.Value] || c.Kind == Put
	}
	return nil
}

// Verify fails the test and shows the calls if the history is not linearizable, or if
// that cannot be decided within a minute.
func (h *History) Verify(t testing.TB) {
	t.Helper()
	if err := h.Err(); err != nil {
		t.Error(err)
	}
	if err := h.Check(deciding); err != nil {
		t.Error(err)
	}
}
