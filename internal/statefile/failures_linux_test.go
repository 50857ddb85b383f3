package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// addTraced runs another process, traced, that adds a line. It returns the calls.
func addTraced(t *testing.T, path string, options ...string) (calls string, failed error) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), "strace", append(append([]string{"-f", "-qq", "-y", "-o", log}, options...), os.Args[0])...)
	cmd.Env = append(os.Environ(), "NEBULA_TEST_FILE="+path)
	_, failed = cmd.Output()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err, failed)
	}
	return string(text), failed
}

func needsStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatal("needs strace")
		}
		t.Skip("needs strace")
	}
}

// TestFailedCalls: if a call fails, no line is lost, and an update that was
// acknowledged is there.
func TestFailedCalls(t *testing.T) {
	needsStrace(t)
	const old, added = `{"name":"old","count":1}` + "\n", `{"name":"added","count":2}` + "\n"
	hits := 0
	for _, call := range []string{"openat", "newfstatat", "fstat", "read", "flock", "write", "fsync", "renameat"} {
		for nth := 1; ; nth++ {
			path := filepath.Join(t.TempDir(), "state")
			write(t, path, old)
			calls, failed := addTraced(t, path, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, nth))
			if !strings.Contains(calls, "INJECTED") {
				break
			}
			hits++
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			isOld, isNew := string(data) == old, bytes.Equal(data, []byte(added+old))
			if !isOld && !isNew || failed == nil && !isNew {
				t.Errorf("EIO of %s %d: %v, and the file holds %q", call, nth, failed, data)
			}
			if failed == nil && (call == "fsync" || call == "renameat") {
				t.Errorf("EIO of %s %d: the update was acknowledged", call, nth)
			}
			if said := new(exec.ExitError); errors.As(failed, &said) && bytes.Contains(said.Stderr, []byte("left open")) {
				t.Errorf("EIO of %s %d: %s", call, nth, said.Stderr)
			}
		}
	}
	if hits < 8 {
		t.Errorf("only %d calls failed: strace does not see them", hits)
	}
}

// TestFlushes: the file is on the disk before it is renamed, and its name after that.
func TestFlushes(t *testing.T) {
	needsStrace(t)
	dir := t.TempDir()
	calls, err := addTraced(t, filepath.Join(dir, "state"), "-e", "trace=fsync,fdatasync,renameat,renameat2")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(calls) {
		switch {
		case strings.Contains(line, "rename"):
			got = append(got, "rename")
		case strings.Contains(line, dir+"/.tmp-"):
			got = append(got, "flush file")
		case strings.Contains(line, "<"+dir+">"):
			got = append(got, "flush directory")
		}
	}
	if strings.Join(got, ", ") != "flush file, rename, flush directory" {
		t.Errorf("%q; the calls:\n%s", got, calls)
	}
}
