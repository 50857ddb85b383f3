package statefile

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for another process, which adds a line to a
// file. It fails if a test leaves goroutines behind.
func TestMain(m *testing.M) {
	if path := os.Getenv("NEBULA_TEST_FILE"); path != "" {
		if err := at(path).Update("added", func(*entry) *entry { return &entry{"added", 2} }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
