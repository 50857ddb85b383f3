package local_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for other processes, and fails when
// a test leaves goroutines behind.
func TestMain(m *testing.M) {
	if role := os.Getenv("NEBULA_TEST_ROLE"); role != "" {
		err := play(role)
		if left := openBelow(os.Getenv("NEBULA_TEST_DIR")); len(left) > 0 {
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

// leftOpen is the exit code of a process that has closed its provider and still
// holds files of its directory.
const leftOpen = 3

// openBelow returns the files of a directory, and itself, that this process has
// open. It knows them on Linux only.
func openBelow(dir string) []string {
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var found []string
	for _, d := range descriptors {
		if path, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(path, dir) {
			found = append(found, path)
		}
	}
	return found
}
