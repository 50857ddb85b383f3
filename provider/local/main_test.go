package local_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestMain lets the test binary play other processes, and fails if a test leaves
// goroutines behind.
func TestMain(m *testing.M) {
	if role := os.Getenv("NEBULA_TEST_ROLE"); role != "" {
		err := play(role)
		if left := openfiles.Below(os.Getenv("NEBULA_TEST_DIR")); len(left) > 0 {
			fmt.Fprintln(os.Stderr, "left open:", left)
			os.Exit(leftOpen)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// leftOpen is the exit code of a process that closed its provider and still has files
// of its directory open.
const leftOpen = 3
