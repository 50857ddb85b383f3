package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
)

// If no bar can be drawn, a long run says now and then how far it is, and a short run
// says nothing. With -o json every run is quiet.
func TestProgressInLines(t *testing.T) {
	for _, c := range []struct {
		what   string
		total  int
		each   time.Duration
		output string
		bytes  int64
		want   []string
	}{
		{"deleting", 30, 300 * time.Millisecond, outputText, 0, nil},
		{"deleting", 58, 510 * time.Millisecond, outputText, 0, []string{
			"deleting: 19 of 58, 2 a second, 21s left; 1 failed, the last one: purge id007 (vault): down",
			"deleting: 39 of 58, 2 a second, 10s left; 1 failed, the last one: purge id007 (vault): down"}},
		{"migrating", -1, 90 * time.Second, outputText, 0, nil},
		{"copying", 4, 6 * time.Second, outputText, 3 << 20, []string{
			"copying: 1 of 4, 3.0 MiB, 6 a minute, 30s left", "copying: 3 of 4, 9.0 MiB, 9 a minute, 7s left"}},
		{"deleting", 60, 500 * time.Millisecond, outputJSON, 0, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var screen bytes.Buffer
			a := &app{stderr: &screen, global: globalFlags{output: c.output}}
			p := a.progress(c.what, c.total)
			for i := range c.total {
				time.Sleep(c.each)
				if c.what == "deleting" && i == 7 {
					p.note(&nebula.Error{Kind: nebula.ErrUnavailable, Op: "purge", ID: "id007", Provider: "vault", Message: "down", Hint: "wait"})
				}
				p.is(i+1, c.total, int64(i+1)*c.bytes, p.last)
			}
			p.end()
			p.set(c.total) // does nothing after end
			want := ""
			for _, line := range c.want {
				want += "nebula: " + line + "\n"
			}
			if got := screen.String(); got != want {
				t.Errorf("%s of %d:\n%swant:\n%s", c.what, c.total, got, want)
			}
		})
	}
}

// If a person interrupts a command that still has to finish something, it says so. If it
// ends at once, it says nothing.
func TestProgressAfterAnInterrupt(t *testing.T) {
	for took, says := range map[time.Duration]bool{time.Millisecond: false, time.Minute: true} {
		synctest.Test(t, func(t *testing.T) {
			var screen bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			a := &app{stderr: &screen, stderrIsTerminal: true, environ: []string{"TERM=dumb"}, global: globalFlags{output: outputText}}
			a.clock = newDeadline(ctx, 0)
			p := a.progress("deleting", 10)
			cancel()
			time.Sleep(took)
			p.end()
			if got := strings.Contains(screen.String(), "finishing what is under way"); got != says {
				t.Errorf("after %v: %q", took, screen.String())
			}
		})
	}
}

// When the total becomes known, another bar is drawn. Nothing of the first one is left
// on the line.
func TestProgressLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		a := &app{stderr: &screen, stderrIsTerminal: true, environ: []string{"TERM=xterm"}, global: globalFlags{output: outputText}}
		p := a.progress("looking at", -1)
		time.Sleep(time.Second)
		p.set(0)
		if !strings.Contains(screen.String(), "looking at") {
			t.Fatalf("nothing was drawn: %q", screen.String())
		}
		p.setOf(2, 2)
		p.end()
		fields := strings.Split(screen.String(), "\r")
		if last := fields[len(fields)-1]; strings.TrimSpace(last) != "" {
			t.Errorf("left on the line: %q", last)
		}
	})
}
