package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

// TestMain lets the test binary stand in for another process, whose calls fail, and
// fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	role := os.Getenv("NEBULA_TEST_ROLE")
	if role == "" {
		goleak.VerifyTestMain(m)
		return
	}
	time.AfterFunc(time.Minute, func() { panic("it never ends") }) // also if the test was killed
	dir := os.Getenv("NEBULA_TEST_DIR")
	err := play(role, dir)
	if left := openfiles.Below(dir); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left open: %v", left))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// text is what the roles write, and stale the name of a temporary file.
const text = "some text"

var stale = tempPrefix + strings.Repeat("0", 2*tempRandom)

// play does in a directory what a role says.
func play(role, dir string) error {
	runtime.LockOSThread() // the calls of each thread are counted
	if umask, err := strconv.ParseInt(os.Getenv("NEBULA_TEST_UMASK"), 8, 0); err == nil {
		unix.Umask(int(umask))
	}
	switch role {
	case "create":
		return Create(filepath.Join(dir, "file"), []byte(text))
	case "create below":
		return Create(filepath.Join(dir, "a", "b", "file"), []byte(text))
	case "make":
		return MakeDirs(dir + "/made/")
	case "may write":
		return MayWrite(dir)
	}
	d, err := Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err = playIn(d, role); IsLockError(err) {
		err = fmt.Errorf("about the lock: %w", err)
	}
	return err
}

func playIn(d *Dir, role string) error {
	role, number, _ := strings.Cut(role, " ")
	switch role {
	case "stage":
		return commit(d.Stage([]byte(text)))
	case "fill":
		return commit(d.StageFunc(func(f Filling) error { _, err := f.Write([]byte(text)); return err }))
	case "new":
		s, err := d.Stage([]byte(text))
		if err != nil {
			return err
		}
		return s.CommitNew("file")
	case "all":
		n, err := strconv.Atoi(number)
		staged, errs := d.StageAll(slices.Repeat([][]byte{[]byte(text)}, n))
		for i, s := range staged {
			if (s != nil) == (errs[i] != nil) {
				return fmt.Errorf("number %d has a file and an error, or neither", i)
			}
			if s != nil {
				err = errors.Join(err, s.Commit(strconv.Itoa(i)))
			}
		}
		return errors.Join(append(errs, err)...)
	case "read":
		_, _, err := d.Read("file", 100)
		return err
	case "sweep":
		if !d.Sweep(stale) {
			return errors.New("it was not swept")
		}
		return nil
	case "probe":
		_, err := d.ProbeLock("file")
		return err
	case "lock":
		l := NewLock(".lock")
		defer l.Close()
		if err := l.Lock(context.Background(), nil, d); err != nil {
			return err
		}
		l.Unlock()
		return nil
	}
	return fmt.Errorf("there is no role %q", role)
}

func commit(s *Staged, err error) error {
	if err != nil {
		return err
	}
	return s.Commit("file")
}

// traced plays a role in another process, with options of strace. It returns what
// the process said, which is nothing if it succeeded, and its calls.
func traced(t *testing.T, role, dir, umask string, options ...string) (said, calls string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatal("needs strace")
		}
		t.Skip("needs strace")
	}
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), strace, append(append([]string{"-f", "-qq", "-o", log}, options...), os.Args[0])...)
	cmd.Env = append(os.Environ(), "NEBULA_TEST_ROLE="+role, "NEBULA_TEST_DIR="+dir, "NEBULA_TEST_UMASK="+umask)
	cmd.Stdin = strings.NewReader("") // a device must not get the mode of a file
	out, failed := cmd.CombinedOutput()
	text, err := os.ReadFile(log)
	if err != nil || (failed != nil) != (len(out) > 0) {
		t.Fatalf("%s with %q: %v, %v, %s", role, options, err, failed, out)
	}
	return string(out), string(text)
}
