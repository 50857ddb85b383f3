//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// onSlowServer returns the environment of a store with n credentials on a server, and
// the server.
func onSlowServer(t *testing.T, n int) ([]string, *awsserver.Server) {
	t.Helper()
	server, err := awsserver.New(awsserver.Options{ForcedDeletion: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	env := home(t, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NEBULA_STORAGE_PROVIDER=aws", "NEBULA_STORAGE_AWS_REGION="+server.Region(),
		"NEBULA_STORAGE_AWS_ENDPOINT_URL="+server.URL())
	sit(t, env, nil, "init").leave(0)
	for i := range n {
		sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", fmt.Sprintf("id%03d", i)).leave(0)
	}
	return env, server
}

// A person at 80 columns sees the progress. After Ctrl-C the items under way are
// finished, and if that takes a while, the command says so. It counts the rest, and the
// same command does it.
func TestInterruptManyOnATerminal(t *testing.T) {
	const n = 40
	env, server := onSlowServer(t, n)
	stop := server.Inject(awsserver.Fault{Operation: "DeleteSecret", Delay: 700 * time.Millisecond})
	p := sit(t, env, func(c *exec.Cmd) {
		if err := pty.Setsize(c.Stdout.(*os.File), &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
			t.Fatal(err)
		}
	}, "delete", "--all", "--yes")
	p.await("deleting ")
	p.await("/40")
	p.await("/s) [")
	if first := regexp.MustCompile(`\((\d+)/40, (\d+) /s\)`).FindStringSubmatch(p.seen()); first == nil || len(first[1]) > 2 || len(first[2]) > 2 {
		t.Errorf("the first bar shows %q", first)
	}
	p.enter("\x03")
	p.await("finishing what is under way")
	p.await("deleted ")
	p.await("are not done")
	p.await("run it again for the rest")
	p.leave(130)
	for _, drawn := range regexp.MustCompile(`\r|\n|\x1b\[[0-9;]*[A-Za-z]`).Split(p.seen(), -1) {
		drawn = strings.TrimSuffix(drawn, "^C") // from the terminal
		if utf8.RuneCountInString(drawn) > 80 && !strings.HasPrefix(drawn, "nebula: ") {
			t.Errorf("%d columns: %q", utf8.RuneCountInString(drawn), drawn)
		}
	}
	said := regexp.MustCompile(`deleted (\d+), not begun: (\d+)(?s:.*)interrupted; (\d+) of 40 are not done`).FindStringSubmatch(p.seen())
	if said == nil {
		t.Fatalf("the screen shows %q", p.seen())
	}
	done, _ := strconv.Atoi(said[1])
	left, _ := strconv.Atoi(said[3])
	if done < 1 || left < 1 || done+left != n || said[2] != said[3] {
		t.Errorf("%d done, %d left, of %d", done, left, n)
	}
	stop()
	p = sit(t, env, nil, "delete", "--all", "--yes")
	p.await(fmt.Sprintf("deleted %d credential", left))
	p.leave(0)
}

// A second Ctrl-C does not wait.
func TestInterruptManyTwice(t *testing.T) {
	env, server := onSlowServer(t, 2)
	defer server.Inject(awsserver.Fault{Operation: "DeleteSecret", Delay: 10 * time.Minute})()
	p := sit(t, env, nil, "delete", "id000", "id001")
	time.Sleep(time.Second)
	p.enter("\x03")
	p.await("finishing what is under way")
	p.enter("\x03")
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.Success() {
		t.Error("it ended without a failure")
	}
}

// A move asks before it deletes if flags select the ids, and not if they are named.
func TestMoveAsksOnATerminal(t *testing.T) {
	env := home(t)
	dir := strings.TrimPrefix(env[0], "HOME=")
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("[storage.local]\nbase_path = %q\n[stores.other.local]\nbase_path = %q\n[stores.other.key]\nfile = %q\n[key]\nfile = %q\n",
		filepath.Join(dir, "one"), filepath.Join(dir, "other"), filepath.Join(dir, "key"), filepath.Join(dir, "key"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env = append(env, "NEBULA_CONFIG="+config)
	sit(t, env, nil, "init").leave(0)
	for _, id := range []string{"a", "b", "c"} {
		sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", id).leave(0)
	}
	move := func(args ...string) *person {
		return sit(t, env, nil, append([]string{"copy", "--from", "default", "--to", "other", "--move"}, args...)...)
	}
	refused := move("--all")
	refused.await("Move 3 credentials from ")
	refused.await("(a, b, c)? [y/N]")
	refused.enter("n\r")
	refused.await("nothing was changed")
	refused.leave(130)
	move("a").leave(0)
	moved := move("--prefix", "b")
	moved.await("(b)? [y/N]")
	moved.enter("y\r")
	moved.await("moved 1 credential")
	moved.leave(0)
	move("--all", "--yes").leave(0)
}
