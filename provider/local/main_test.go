package local_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for other processes, and fails when
// a test leaves goroutines of ours behind.
func TestMain(m *testing.M) {
	if role := os.Getenv("NEBULA_TEST_ROLE"); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if code == 0 {
		if left := leaked(); left != nil {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines, besides this one, that run code of
// this module, if they do not end by themselves.
func leaked() []byte {
	buf := make([]byte, 1<<20)
	var left []byte
	for range 50 {
		left = nil
		for i, stack := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
			if i > 0 && bytes.Contains(stack, []byte("nebula-credential/nebula")) {
				left = append(left, stack...)
			}
		}
		if left == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return left
}
