package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// lockedBuffer can be read during a write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A person who waits sees why, for how long, and that they need not wait.
func TestCountDown(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		out := &lockedBuffer{}
		a := &app{stderr: out, stderrIsTerminal: terminal, global: globalFlags{output: outputText}}
		stop := a.countDown(2*time.Minute, "writers that may still hold the old key")
		for deadline := time.Now().Add(10 * time.Second); terminal && !strings.Contains(out.String(), "1m5"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no time is counted down: %q", out.String())
			}
		}
		stop()
		stop()
		text := out.String()
		for _, want := range []string{"waiting 2m0s for writers that may still hold the old key", "nebula key rotate --resume"} {
			if !strings.Contains(text, want) {
				t.Errorf("terminal %v: no %q in %q", terminal, want, text)
			}
		}
		if strings.Contains(text, "left") != terminal || terminal && !strings.HasSuffix(text, "\r\x1b[K") {
			t.Errorf("terminal %v: %q", terminal, text)
		}
	}
}

// If a rotation was interrupted, the message says how to resume it.
func TestResumable(t *testing.T) {
	begun := nebula.RotateResult{KeyID: nebula.KeyID{1}}
	for _, test := range []struct {
		err    error
		result nebula.RotateResult
		hint   bool
	}{
		{context.Canceled, begun, true},
		{context.Canceled, nebula.RotateResult{}, false},
		{context.DeadlineExceeded, begun, true},
		{&nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}, begun, true},
		{&nebula.Error{Kind: nebula.ErrCorrupted, Message: "damaged", Hint: "own"}, begun, false},
	} {
		f := (&app{}).failureOf(resumable(test.err, test.result))
		if f.Kind != nebula.KindOf(test.err) || strings.Contains(f.Hint, "nebula key rotate --resume") != test.hint {
			t.Errorf("%v: %+v", test.err, f)
		}
		if errors.Is(test.err, context.Canceled) && f.Message != "interrupted" {
			t.Errorf("%v: %q", test.err, f.Message)
		}
	}
}
