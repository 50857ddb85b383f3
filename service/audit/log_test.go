package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
)

func open(t *testing.T, path string, o Options) *Log {
	t.Helper()
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "made", "audit.jsonl") }

func write(t *testing.T, l *Log, e Entry) {
	t.Helper()
	if err := l.Write(e); err != nil {
		t.Fatal(err)
	}
}

// lines returns the lines of a file. Each must be JSON.
func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("%q is no line: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestLine(t *testing.T) {
	path := newPath(t)
	l := open(t, path, Options{})
	write(t, l, Entry{Time: time.Date(2026, 11, 28, 11, 0, 0, 1500, time.FixedZone("", 3600)), Request: "r1", Token: "Jürgen", Verb: "read",
		Method: "GET", ID: "db", Outcome: "ok", Version: "3", Address: "127.0.0.1:4711"})
	write(t, l, Entry{Outcome: "not_found"})
	text, err := os.ReadFile(path)
	const want = `{"time":"2026-11-28T10:00:00.000001Z","request":"r1","token":"Jürgen","verb":"read","method":"GET","id":"db","outcome":"ok","version":"3","address":"127.0.0.1:4711"}
{"time":"0001-01-01T00:00:00.000000Z","outcome":"not_found"}
`
	if string(text) != want || err != nil {
		t.Errorf("the file holds %s, %v", text, err)
	}
}

// Anything in a request stays within its member of one line.
func FuzzEntry(f *testing.F) {
	for _, seed := range []string{"a", "a\nb", "\",\"outcome\":\"ok", "\\", "\u2028", "\x1b[2J", "\x00", "\u202e", "\xff", "\xed\xa0\x80", "\U000e0001", "\u0085", "\ufffd", strings.Repeat("é", 200)} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, id, address string) {
		text := string((&Entry{ID: id, Outcome: "ok", Address: address}).append(nil))
		if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "}\n") || len(text) > 2000 {
			t.Fatalf("%q is not one line", text)
		}
		for _, r := range strings.TrimSuffix(text, "\n") {
			if isHidden(r) {
				t.Fatalf("%q holds %U", text, r)
			}
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := strings.ToValidUTF8(id, "\ufffd")
		if id != "" && len(id) < 20 && !strings.Contains(want, "\ufffd") && got["id"] != want {
			t.Fatalf("%q became %q", id, got["id"])
		}
		if got["outcome"] != "ok" || len(got) > 4 {
			t.Fatalf("%q has other members", text)
		}
	})
}

func isHidden(r rune) bool {
	return r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

func TestManyWriters(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprint("sync ", sync), func(t *testing.T) {
			path := newPath(t)
			logs := []*Log{open(t, path, Options{Sync: sync}), open(t, path, Options{Sync: sync})} // like two services
			const each = 50
			var all syncGroup
			for i := range 8 {
				all.Go(func() {
					for n := range each {
						if err := logs[i%2].Write(Entry{Request: fmt.Sprintf("%d-%d", i, n), Outcome: "ok"}); err != nil {
							t.Error(err)
						}
						if n == each/2 {
							if err := logs[i%2].Reopen(); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			all.Wait()
			seen := map[any]bool{}
			for _, l := range lines(t, path) {
				seen[l["request"]] = true
			}
			if len(seen) != 8*each {
				t.Errorf("%d lines are there", len(seen))
			}
		})
	}
}

type syncGroup = sync.WaitGroup

// A line that succeeds allocates no memory.
func TestWriteAllocatesNothing(t *testing.T) {
	l := open(t, newPath(t), Options{})
	e := Entry{Time: time.Now(), Request: "r1", Token: "ci", Verb: "read", Method: "GET", ID: "db", Outcome: "ok", Version: "3", Address: "127.0.0.1:4711"}
	if n := testing.AllocsPerRun(100, func() { _ = l.Write(e) }); n >= 1 {
		t.Errorf("%v allocations a line", n)
	}
}

// One flush serves all lines that wait for it.
func TestFlushesAreShared(t *testing.T) {
	l := open(t, newPath(t), Options{Sync: true})
	flushes, first := 0, make(chan struct{})
	flush := func() error {
		flushes++ // flushes run one at a time
		if flushes == 1 {
			<-first
		}
		return nil
	}
	l.out.flushNow = flush
	written := func() int {
		info, err := l.out.file.Stat()
		if err != nil {
			t.Error(err)
		}
		return int(info.Size()) / len((&Entry{}).append(nil))
	}
	var all sync.WaitGroup
	all.Go(func() { write(t, l, Entry{}) })
	for written() < 1 {
		time.Sleep(time.Millisecond)
	}
	for range 20 {
		all.Go(func() { write(t, l, Entry{}) })
	}
	for written() < 21 {
		time.Sleep(time.Millisecond)
	}
	close(first)
	all.Wait()
	if flushes > 10 {
		t.Errorf("%d flushes for 21 lines", flushes)
	}
}

func TestLogrotate(t *testing.T) {
	path := newPath(t)
	l := open(t, path, Options{})
	write(t, l, Entry{Request: "before"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, l, Entry{Request: "between"})
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, l, Entry{Request: "after"})
	if old, now := lines(t, path+".1"), lines(t, path); len(old) != 2 || len(now) != 1 || now[0]["request"] != "after" {
		t.Errorf("the old file has %v, the new one %v", old, now)
	}

	// Without Reopen, the log notices it.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.looked = l.looked.Add(-time.Minute)
	write(t, l, Entry{Request: "anew"})
	if now := lines(t, path); len(now) != 1 || now[0]["request"] != "anew" {
		t.Errorf("after it was removed: %v", now)
	}
}

func TestRefused(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, path, Options{})
		for i := range 3000 {
			l.Refused("192.0.2.7:" + fmt.Sprint(i))
		}
		l.Refused("[2001:db8::1]:4711")
		l.Refused("@")
		if n := len(lines(t, path)); n != 0 {
			t.Errorf("%d lines before the minute was over", n)
		}
		time.Sleep(refusedPeriod + time.Second)
		synctest.Wait()
		got := map[any]any{}
		for _, line := range lines(t, path) {
			got[line["address"]] = line["count"]
			if line["outcome"] != "unauthenticated" || line["since"] == line["time"] {
				t.Errorf("a line is %v", line)
			}
		}
		if want := map[any]any{"192.0.2.7": 3000.0, "2001:db8::1": 1.0, "@": 1.0}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the counts are %v", got)
		}
		for i := range 5000 {
			l.Refused(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250))
		}
		if n := len(l.refusals.counts); n > maxAddresses+1 {
			t.Errorf("%d addresses are kept", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		counted := 0.0
		for _, line := range lines(t, path)[3:] {
			counted += line["count"].(float64)
		}
		if counted != 5000 {
			t.Errorf("%v refusals were counted, want 5000", counted)
		}
		l.Refused("10.0.0.1:1")
		if err := l.Write(Entry{}); nebula.KindOf(err) != nebula.ErrClosed {
			t.Errorf("a line after Close: %v", err)
		}
	})
}

func TestStandardErrorIsNotFlushed(t *testing.T) {
	if _, err := Open(Stderr, Options{Sync: true}); nebula.KindOf(err) != nebula.ErrInvalidConfig {
		t.Errorf("standard error was opened with Sync: %v", err)
	}
	l := open(t, Stderr, Options{})
	if err := errors.Join(l.Healthy(), l.Reopen()); err != nil {
		t.Error(err)
	}
}
