package aws

import (
	"testing"
	"time"
)

// What AWS refuses six times in a row, of a secret that is live and stays as it is, it
// will go on refusing. Each change begins the count again.
func TestRefusals(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	same := secret{current: "v", changed: at}
	for what, other := range map[string]secret{
		"deleted":                   {current: "v", changed: at.Add(time.Second), deleted: at},
		"with another version":      {current: "w", changed: at},
		"changed in something else": {current: "v", changed: at.Add(time.Second)},
	} {
		var seen refusals
		add := func(s secret, times int) {
			for range times {
				seen.add(s)
			}
		}
		add(same, 5)
		if seen.last() {
			t.Error("five refusals are the last")
		}
		add(other, 1)
		for range 10 { // a deleted one counts anew each time
			if !other.live() {
				add(other, 1)
			}
		}
		if seen.last() {
			t.Errorf("%s: it counts as unchanged", what)
		}
		add(same, 5)
		if seen.last() {
			t.Errorf("after one %s, five refusals are the last", what)
		}
		if add(same, 1); !seen.last() {
			t.Errorf("after one %s, six refusals are not the last", what)
		}
	}
}
