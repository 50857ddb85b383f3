package histories

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// written reads a history from a text: a line for each client, a word for each call.
// The columns are the times: a call begins and ends where its word does.
//
//	p1   writes value 1, which gets version 1
//	p1?  is unclear
//	a1   writes value 1 if there is none, a1! is refused
//	c1:2 writes value 2 if the version is 1, c1:2! is refused, c1:2? is unclear
//	g1   reads value 1, g- reads that there is none
//	d    deletes, d- finds none, d? is unclear
//	d1   deletes if the version is 1, d1! is refused
func written(t *testing.T, text string) *History {
	t.Helper()
	h := New()
	for client, row := range strings.Split(strings.Trim(text, "\n"), "\n") {
		for i := 0; i < len(row); {
			if row[i] == ' ' {
				i++
				continue
			}
			word, _, _ := strings.Cut(row[i:], " ")
			c := call(t, strings.TrimRight(word, "."))
			c.Client, c.Begin, c.End = client+1, int64(1+i), int64(1+i+len(word))
			h.calls = append(h.calls, &c)
			i += len(word)
		}
	}
	return h
}

func call(t *testing.T, word string) Call {
	t.Helper()
	c := Call{Outcome: Done}
	if rest, ok := strings.CutSuffix(word, "?"); ok {
		word, c.Outcome = rest, Unclear
	} else if rest, ok := strings.CutSuffix(word, "!"); ok {
		word, c.Outcome = rest, Refused
	}
	switch word[0] {
	case 'd':
		c.Kind, c.IfVersion = Delete, word[1:]
		if word == "d-" {
			c.Outcome, c.IfVersion = Absent, ""
		}
		return c
	case 'g':
		c.Kind, c.Value, c.Version = Get, word[1:], word[1:]
		if word == "g-" {
			c.Outcome, c.Value, c.Version = Absent, "", ""
		}
		return c
	case 'p':
		c.Kind, c.Value = Put, word[1:]
	case 'a':
		c.Kind, c.Value, c.IfAbsent = Put, word[1:], true
	case 'c':
		c.Kind = Put
		c.IfVersion, c.Value, _ = strings.Cut(word[1:], ":")
	default:
		t.Fatalf("the call %q", word)
	}
	if c.Outcome == Done {
		c.Version = c.Value
	}
	return c
}

func TestOrders(t *testing.T) {
	for _, c := range []struct {
		what, text string
		first      string // the first call that no order explains; "" if there is an order
	}{
		{"one after another", "p1 g1 p2 g2 d g-", ""},
		{"nothing was there", "g1", "get"},
		{"a stale read", "p1 p2 g1", "get"},
		{"a read goes back", `
p1 p2......
    g2 g1  `, "get"},
		{"reads while writing", `
p1 p2........
    g1 g2    `, ""},
		{"a delete that did nothing", "p1 d g1", "get"},
		{"a write after a delete that is not there", "p1 d p2 g-", "get"},
		{"a lost update", `
p1 g1    c1:2
   g1    c1:3.. g3`, "put"},
		{"the loser is told", `
p1 g1    c1:2 g2
   g1    c1:3!.. `, ""},
		{"two create", `
a1..
a2..`, "put"},
		{"one creates", `
a1.. g1
a2!.   `, ""},
		{"refused for nothing", "a1!", "put"},
		{"refused for nothing, by version", "p1 c1:2!", "put"},
		{"refused by a version that is another", "p1 p2 c1:3!", ""},
		{"refused because it is gone", "p1 d c1:3!", ""},
		{"refused, and it happened", "p1 p2 c1:3! g3", "get"},
		{"a deleted one counts as absent", "p1 d a2 g2", ""},
		{"unclear, happened", "p1 p2? g2", ""},
		{"unclear, did not happen", "p1 p2? g1", ""},
		{"unclear, happens later", "p1 p2? g1 g1 g2", ""},
		{"unclear, happens twice", "p1 p2? g2 p3 g2", "get"},
		{"unclear, and comes and goes", "p1 p2? g1 g2 g1", "get"},
		{"unclear on condition, too late to happen", "p1 c1:2? p3 g3 g2", "get"},
		{"unclear on condition, refuses another", "p1 c1:2? c1:3! g2", ""},
		{"unclear on condition, and again with success", "p1 c1:2? g1 c1:3 g3", ""},
		{"an unclear delete comes late", "p1 d? p2 g2 g-", ""},
		{"a delete comes twice", "p1 d g- p2 g2 g-", "get"},
		{"a delete that was done comes late", "p1 d p2 g-", "get"},
		{"a delete finds none", "d- p1 d d-", ""},
		{"a delete finds none where there is one", "p1 d- g1", "delete"},
		{"a delete by the version", "p1 d1 g-", ""},
		{"a delete by another version", "p1 p2 d1", "delete"},
		{"a delete is refused", "p1 p2 d1! g2", ""},
		{"a delete is refused where there is none", "d1!", ""},
		{"a delete is refused for nothing", "p1 d1!", "delete"},
		{"an unclear delete by the version, too late to happen", "p1 d1? p2 g2 g-", "get"},
		{"a delete that was repeated, and another was first", "p1 d d1", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := written(t, c.text).Check(time.Minute)
			var found *Error
			if c.first == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &found) {
				t.Fatalf("Check found an order: %v", err)
			}
			if marked := found.Calls[found.First]; string(marked.Kind) != c.first || !strings.Contains(err.Error(), "> ") {
				t.Errorf("marked is %s in\n%v", marked, err)
			}
		})
	}
}

// If nobody has learned a version, a condition may name any. After a read has shown it,
// no other is possible.
func TestUnknownVersions(t *testing.T) {
	for text, want := range map[string]bool{
		"p1? c7:2 g2":    true,
		"p1? g1 c1:2 g2": true,
		"p1? g1 c7:2":    false,
		"p1? g1 c1:2!":   false,
	} {
		if err := written(t, text).Check(time.Minute); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStarts(t *testing.T) {
	h := written(t, "g1 c1:2 g2")
	if h.Check(time.Minute) == nil {
		t.Error("Check found an order for a read of what nobody wrote")
	}
	h.Starts("1", "1")
	if err := h.Check(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestValuesAreWrittenOnce(t *testing.T) {
	if err := written(t, "p1 g1 p1").Check(time.Minute); err == nil || !strings.Contains(err.Error(), "written twice") {
		t.Errorf("%v", err)
	}
}
