package local_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestFailedDeletions: if a call of a deletion fails, the record is deleted or the
// failure is told.
func TestFailedDeletions(t *testing.T) {
	strace(t)
	hits := 0
	for _, call := range []string{"newfstatat", "openat", "flock", "unlinkat", "fsync"} {
		for nth := 1; nth < 20; nth++ {
			s := newStore(t)
			s.put("id", "v")
			end := inject(t, "delete", s.dir, call, "error=EIO", nth)
			if !end.hit {
				break
			}
			hits++
			what := fmt.Sprintf("EIO of %s %d", call, nth)
			found, err := s.Exists(t.Context(), named("id"))
			switch {
			case err != nil:
				t.Errorf("%s: %v", what, err)
			case !end.failed && (found || strings.TrimSpace(end.told) != "true"):
				t.Errorf("%s: it is told %q, and the record is there: %v", what, end.told, found)
			case !end.failed && (call == "unlinkat" || call == "fsync"),
				end.failed && !end.unloaded() && !strings.Contains(end.complained, "input/output error"):
				t.Errorf("%s: it failed: %v, %s", what, end.failed, end.complained)
			}
		}
	}
	if hits < 5 {
		t.Errorf("%d calls failed only: strace does not see them", hits)
	}
	// Another process, without locks, comes first.
	s := newStore(t)
	s.put("id", "v")
	if end := inject(t, "delete", s.dir, "unlinkat", "error=ENOENT", 1); end.failed || strings.TrimSpace(end.told) != "false" {
		t.Errorf("of one that has just gone it is told %q, %s", end.told, end.complained)
	}
}

// TestFailedFlushes: nothing is acknowledged that was not flushed. A record of which
// that is true of its name alone is in its place.
func TestFailedFlushes(t *testing.T) {
	for nth, inPlace := range map[int]bool{1: false, 2: true} {
		s := newStore(t)
		old := s.put("id", "old")
		end := inject(t, "store", s.dir, "fsync", "error=EIO", nth)
		if !end.failed || strings.Contains(end.complained, "could not be flushed") != inPlace {
			t.Errorf("fsync %d: %v, %s", nth, end.failed, end.complained)
		}
		if record, err := s.Retrieve(t.Context(), named("id")); err != nil || string(record.Envelope.Bytes()) == string(old) == inPlace {
			t.Errorf("fsync %d: it is in its place: %v, %v", nth, !inPlace, err)
		}
	}
}

// TestTakenAwayEachTime: a store is not tried for ever where its files are taken away.
func TestTakenAwayEachTime(t *testing.T) {
	s := newStore(t)
	old := s.put("id", "old")
	said, err := lacking(t, "store", s.dir, "renameat", "ENOENT")
	if err == nil || !strings.Contains(said, "the directory "+s.dir+" was taken away") {
		t.Errorf("%v, %q", err, said)
	}
	s.holds("id", old)
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
