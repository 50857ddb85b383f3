package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// keepTerminal is a variable in its environment with which the command under test keeps
// the controlling terminal of the test.
const keepTerminal = "TEST_KEEP_TERMINAL"

// raceExit saves each process the second for which the race detector waits at the end
// for other goroutines.
const raceExit = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"nebula": func() {
			if os.Getenv(keepTerminal) == "" {
				leaveTerminal() // otherwise it would ask the person who runs the tests
			}
			main()
		},
		// child prints its environment, and a passphrase if a variable says so.
		"child": func() {
			for _, entry := range os.Environ() {
				os.Stderr.WriteString("env " + entry + "\n")
			}
			if len(os.Args) > 1 {
				os.Stdout.WriteString(os.Args[1] + "\n")
			}
		},
		// flood prints without end.
		"flood": func() {
			for {
				if _, err := os.Stdout.WriteString("flood flood flood flood"); err != nil {
					return
				}
			}
		},
	})
}

// leakless fails if a test leaves a goroutine behind.
type leakless struct{ *testing.M }

func (l leakless) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func TestScripts(t *testing.T) {
	dir := filepath.Join("testdata", "script")
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) < 20 {
		t.Fatalf("only %d scripts in %s: %v", len(files), dir, err)
	}
	runScripts(t, dir, nil)
}

// runScripts runs the scripts of a directory, each in a home of its own.
func runScripts(t *testing.T, dir string, setup func(*testscript.Env)) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Vars = append(env.Vars, raceExit)
			env.Setenv("STORE", filepath.Join(home, ".local", "share", "nebula", "credentials"))
			env.Setenv("CONFIG", filepath.Join(home, ".config", "nebula"))
			if setup != nil {
				setup(env)
			}
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":     scriptCode,
			"replace":  scriptReplace,
			"flip":     scriptFlip,
			"lines":    scriptLines,
			"large":    scriptLarge,
			"capture":  scriptCapture,
			"mode":     scriptMode,
			"hex":      scriptHex,
			"kms":      scriptKMSCommand,
			"azurekey": scriptAzureKey,
			"records":  scriptRecords,
			"transit":  scriptTransitCommand,
		},
	})
}

// code N COMMAND… runs a command that must end with the exit code N.
func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// replace FILE OLD NEW edits a file in place.
func scriptReplace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// flip FILE MEMBER changes the first character of a base64 member of a record.
func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	at := strings.Index(string(text), `"`+args[1]+`":"`) + len(args[1]) + 4
	if text[at] == 'A' {
		text[at] = 'B'
	} else {
		text[at] = 'A'
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// lines FILE N counts lines.
func scriptLines(ts *testscript.TestScript, _ bool, args []string) {
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s has %d lines, want %s", args[0], got, args[1])
	}
}

// large FILE N makes a file of N bytes.
func scriptLarge(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(n), f.Close()))
}

// capture NAME TEXT sets a variable to the text after TEXT in the last output, up to the
// next quote or white space.
func scriptCapture(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile("stdout"), args[1])
	if !ok {
		ts.Fatalf("no %q in standard output", args[1])
	}
	if end := strings.IndexAny(rest, "\" \t\n"); end >= 0 {
		rest = rest[:end]
	}
	ts.Setenv(args[0], rest)
}

// mode FILE MODE compares permission bits.
func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// hex FILE DIGITS makes a file with those bytes.
func scriptHex(ts *testscript.TestScript, _ bool, args []string) {
	data, err := hex.DecodeString(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}
