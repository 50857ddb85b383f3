package process

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// The test hardens another process: it cannot be undone, and a test binary that cannot
// be traced does not help.
func TestHarden(t *testing.T) {
	if os.Getenv("NEBULA_TEST_HARDEN") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHarden$")
		cmd.Env = append(os.Environ(), "NEBULA_TEST_HARDEN=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var before, limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	undo := Harden()
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 || limit.Max != before.Max {
		t.Errorf("the limit of a core is %+v, %v", limit, err)
	}
	undo()
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit != before {
		t.Errorf("the limit of a core is then %+v, %v, want %+v", limit, err, before)
	}
}
