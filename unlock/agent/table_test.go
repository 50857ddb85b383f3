package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// clocks are the two clocks of the table, which a test sets.
type clocks struct{ at instant }

func (c *clocks) now() instant { return c.at }

func newTestTable(ttl time.Duration) (*table, *clocks) {
	c := &clocks{instant{wall: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}}
	return newTable(ttl, c.now), c
}

// A key expires when one of the clocks says so: the monotonic clock stops while the
// machine sleeps, and somebody can set the other one.
func TestTimeToLive(t *testing.T) {
	for name, test := range map[string]struct {
		running, wall time.Duration
		ttl           time.Duration // that the client asked for
		there         bool
	}{
		"just before":        {running: 15*time.Minute - 1, wall: 15*time.Minute - 1, there: true},
		"both":               {running: 15 * time.Minute, wall: 15 * time.Minute},
		"slept":              {running: time.Second, wall: 15 * time.Minute},
		"set back":           {running: 15 * time.Minute, wall: -time.Hour},
		"set back, not over": {running: time.Minute, wall: -time.Hour, there: true},
		"less was asked for": {running: time.Minute, wall: time.Minute, ttl: time.Minute},
		"more was asked for": {running: 15 * time.Minute, wall: 15 * time.Minute, ttl: time.Hour},
	} {
		table, c := newTestTable(15 * time.Minute)
		table.add("a", bytes.Repeat([]byte{1}, 32), true, test.ttl)
		entry := table.keys["a"]
		c.at.running += test.running
		c.at.wall = c.at.wall.Add(test.wall)
		if _, there := table.get("a"); there != test.there || len(table.list()) > 0 != test.there {
			t.Errorf("%s: the key is there: %v", name, there)
		}
		if !test.there && entry.secret != [32]byte{} {
			t.Errorf("%s: the key is still in memory", name)
		}
	}
}

func TestGetDoesNotExtend(t *testing.T) {
	table, c := newTestTable(time.Minute)
	table.add("a", make([]byte, 32), true, 0)
	c.at.running += 59 * time.Second
	if _, there := table.get("a"); !there {
		t.Error("the key is gone too early")
	}
	if left := table.list()[0].Left; left != time.Second {
		t.Errorf("%v left", left)
	}
	c.at.running += time.Second
	table.expire()
	if len(table.keys) > 0 {
		t.Error("reading the key made it live longer")
	}
}

// A list always fits a message, and the oldest keys go first.
func TestRoom(t *testing.T) {
	for name, address := range map[string]func(int) string{
		"short":  func(i int) string { return fmt.Sprintf("local:/%04d", i) },
		"long":   func(i int) string { return fmt.Sprintf("local:/%04d", i) + strings.Repeat("ü", 2000) },
		"quoted": func(i int) string { return fmt.Sprintf("local:/%04d", i) + strings.Repeat("\x01<", 1500) },
	} {
		table, c := newTestTable(time.Hour)
		for i := range 200 {
			c.at.running++
			table.add(address(i), make([]byte, 32), true, 0)
		}
		text, err := json.Marshal(response{Keys: table.list()})
		if err != nil || len(text) > maxMessage || len(table.keys) > maxKeys || len(table.keys) < 2 {
			t.Errorf("%s: %d keys in %d bytes, %v", name, len(table.keys), len(text), err)
		}
		if _, there := table.get(address(199)); !there {
			t.Errorf("%s: the newest is gone", name)
		}
		if _, there := table.get(address(0)); there {
			t.Errorf("%s: the oldest is still there", name)
		}
	}
}
