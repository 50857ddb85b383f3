package statefile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestMain lets the test binary stand in for another process, which adds a line to a
// file. It fails if a test leaves goroutines behind.
func TestMain(m *testing.M) {
	if path := os.Getenv("NEBULA_TEST_FILE"); path != "" {
		err := at(path).Update("added", func(*entry) *entry { return &entry{"added", 2} })
		if left := openfiles.Below(filepath.Dir(path)); len(left) > 0 {
			err = fmt.Errorf("left open: %v", left)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
