//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// stored returns the environment of a home with one credential.
func stored(t *testing.T, id, value string) []string {
	t.Helper()
	env := home(t)
	cmd := exec.Command("nebula", "put", id)
	cmd.Env, cmd.Stdin = env, strings.NewReader(value)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return env
}

// Signals and input from the terminal reach the command, because run becomes the
// command.
func TestRunOnATerminal(t *testing.T) {
	env := stored(t, "token", "value\n")
	p := sit(t, env, nil, "run", "--env", "TOKEN=token", "--", "sh", "-c",
		`trap 'stty echo; echo caught; exit 9' INT; stty -echo; echo "$$ $TOKEN ready"; while :; do sleep 0.05; done`)
	p.await(strconv.Itoa(p.cmd.Process.Pid) + " value ready")
	p.enter("\x03")
	p.await("caught")
	p.leave(9)
	// This command takes over the terminal.
	p = sit(t, env, nil, "run", "--env", "TOKEN=token", "--", "sh", "-c", `stty raw -echo; printf 'ask '; head -c 3 | od -An -c; stty sane; exit 4`)
	p.await("ask ")
	p.awaitHidden()
	if _, err := p.terminal.WriteString("\x03\x1ax"); err != nil {
		t.Fatal(err)
	}
	p.await("003 032   x")
	p.leave(4)
}

// A shell can stop and continue it, like any other command.
func TestRunUnderJobControl(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	env := append(stored(t, "token", "value\n"), "PS1=> ")
	p := sit(t, env, func(c *exec.Cmd) { c.Path, c.Args = shell, []string{"bash", "--norc", "--noprofile", "-i"} })
	p.await("> ")
	p.enter("nebula run --env TOKEN=token -- sh -c 'echo begun; cat; echo ended $TOKEN'\n")
	p.await("begun\r\n")
	// A shell that waits for the vfork of cat cannot be stopped, so cat must run first.
	p.enter("there\n")
	p.await("there\r\nthere\r\n")
	p.enter("\x1a")
	p.await("Stopped")
	p.await("> ")
	p.enter("fg\n")
	p.await("echo ended $TOKEN'")
	p.enter("again\n")
	p.await("again\r\nagain\r\n")
	p.enter("\x04")
	p.await("ended value")
	p.await("> ")
	p.enter("exit 3\n")
	p.leave(3)
}

// The command has the limits of the caller, and ignores the same signals.
func TestRunHandsLimitsAndSignalsOn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks into /proc")
	}
	env := stored(t, "token", "value\n")
	out := filepath.Join(t.TempDir(), "out")
	limits := func(nebula string) string {
		t.Helper()
		script := "trap '' INT HUP; ulimit -Sc 4; ulimit -Sn 100; " + nebula +
			` sh -c 'ulimit -Sc; ulimit -Hc; ulimit -Sn; ulimit -Hn; grep -E "Sig(Ign|Blk)" /proc/self/status; cat /proc/$$/coredump_filter; ls /proc/$$/fd' >` + out
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = env
		if told, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, told)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	bare, run := limits(""), limits("nebula run --env TOKEN=token --")
	if run != bare || !strings.Contains(bare, "100\n") {
		t.Errorf("with nebula run:\n%s\nwithout:\n%s", run, bare)
	}
}
