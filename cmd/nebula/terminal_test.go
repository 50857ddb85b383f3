//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// person is a person at a terminal with a command.
type person struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File // their side
	tty      *os.File // the command's side

	mu     sync.Mutex
	screen bytes.Buffer
	read   int // of the screen
}

// home returns an environment with a home of its own.
func home(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TERM=xterm", keepTerminal + "=1", raceExit}, more...)
}

// sit starts a command on a terminal. redirect may change its streams.
func sit(t *testing.T, env []string, redirect func(*exec.Cmd), args ...string) *person {
	t.Helper()
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close(); tty.Close() })
	cmd := exec.Command("nebula", args...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	cmd.ExtraFiles = []*os.File{tty}
	if redirect != nil {
		redirect(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, cmd: cmd, terminal: terminal, tty: tty}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := terminal.Read(buffer)
			p.mu.Lock()
			p.screen.Write(buffer[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *person) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// await waits until the terminal shows the text after what it showed before.
func (p *person) await(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if at := strings.Index(p.seen()[p.read:], text); at >= 0 {
			p.read += at + len(text)
			return
		}
	}
	p.t.Fatalf("%q never came; the screen shows %q", text, p.seen())
}

// awaitHidden waits until the terminal hides what is typed.
func (p *person) awaitHidden() {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.echo(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("the terminal shows what is typed")
		}
	}
}

func (p *person) echo() bool {
	state, err := unix.IoctlGetTermios(int(p.tty.Fd()), getTermios)
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// answer types a line when the question is shown and the terminal hides input.
func (p *person) answer(question, line string) {
	p.t.Helper()
	p.await(question)
	p.await(": ")
	p.awaitHidden()
	p.enter(line)
}

func (p *person) enter(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.terminal, text); err != nil {
		p.t.Fatal(err)
	}
}

// leave waits until the command ends, and checks its exit code and the echo.
func (p *person) leave(code int) {
	p.t.Helper()
	err := p.cmd.Wait()
	time.Sleep(20 * time.Millisecond) // for the last output
	var exit *exec.ExitError
	if got := 0; err != nil && (!errors.As(err, &exit) || exit.ExitCode() != code) || err == nil && got != code {
		p.t.Fatalf("%v, want exit code %d; the screen shows %q", err, code, p.seen())
	}
	if !p.echo() {
		p.t.Error("the terminal is left without echo")
	}
}

func TestValueAtThePrompt(t *testing.T) {
	env := home(t)
	p := sit(t, env, nil, "put", "token")
	p.await("Value of token (hidden, one line): ")
	p.awaitHidden()
	p.enter("s3cret\n")
	p.answer("The same again", "s3cret\n")
	p.await("stored token")
	p.leave(0)
	if strings.Contains(p.seen(), "s3cret") {
		t.Errorf("the value shows: %q", p.seen())
	}
	p = sit(t, env, nil, "get", "token")
	p.await("s3cret\r\n")
	p.leave(0)
}

// A person pastes a key of several lines at the prompt. Nothing is stored, and the rest
// does not reach the next reader of the terminal.
func TestSeveralLinesAtThePrompt(t *testing.T) {
	env := home(t)
	for _, paste := range []string{"-----BEGIN KEY-----\nline two\nline three\n", "line one\nline two"} {
		p := sit(t, env, nil, "put", "token")
		p.await("one line")
		p.awaitHidden()
		p.enter(paste)
		p.await("more than one line")
		p.leave(2)
		if strings.Contains(p.seen(), "line two") {
			t.Errorf("the value shows: %q", p.seen())
		}
		if waiting, err := unix.IoctlGetInt(int(p.tty.Fd()), getWaiting); err != nil || waiting != 0 {
			t.Errorf("%d bytes are left for the shell, %v", waiting, err)
		}
	}
	p := sit(t, env, nil, "get", "token")
	p.leave(3)
}

// A terminal keeps only the beginning of a line that is too long, and reports no error.
// So a value of that length may be incomplete.
func TestLongLineAtThePrompt(t *testing.T) {
	env := home(t)
	for _, length := range []int{maxLine, maxLine + 1, 2 * maxLine} {
		p := sit(t, env, nil, "put", "token")
		p.await("one line")
		p.awaitHidden()
		p.enter(strings.Repeat("x", length/2))
		time.Sleep(50 * time.Millisecond)
		p.enter(strings.Repeat("x", length-length/2) + "\n")
		p.await(fmt.Sprintf("at most %d bytes", maxLine-1))
		p.await("nebula put token --file")
		p.leave(2)
		sit(t, env, nil, "get", "token").leave(3)
	}
}

// The longest line that a terminal keeps completely is a value.
func TestLongestLineAtThePrompt(t *testing.T) {
	env := home(t)
	value := strings.Repeat("x", maxLine-1)
	p := sit(t, env, nil, "put", "token")
	p.answer("Value of token", value+"\n")
	p.answer("The same again", value+"\n")
	p.leave(0)
	var out bytes.Buffer
	sit(t, env, func(c *exec.Cmd) { c.Stdout = &out }, "get", "token").leave(0)
	if out.String() != value {
		t.Errorf("%d bytes were stored, want %d", out.Len(), len(value))
	}
}

func TestEmptyValueAtThePrompt(t *testing.T) {
	p := sit(t, home(t), nil, "put", "token")
	p.await("hidden")
	p.awaitHidden()
	p.enter("\n")
	p.await("the value is empty")
	p.leave(2)
	if strings.Contains(p.seen(), "pipe") {
		t.Errorf("the error mentions a pipe, and there is none: %q", p.seen())
	}
}

// If a program ends its line with a newline, there is a warning, if standard error is a
// terminal. --trim cuts the newline.
func TestPipedNewline(t *testing.T) {
	env := home(t)
	pipe := func(text string) func(*exec.Cmd) {
		return func(c *exec.Cmd) { c.Stdin = strings.NewReader(text) }
	}
	get := func() string {
		t.Helper()
		var out bytes.Buffer
		sit(t, env, func(c *exec.Cmd) { c.Stdout = &out }, "get", "token").leave(0)
		return out.String()
	}
	p := sit(t, env, pipe("s3cret\n"), "put", "token")
	p.await("the value ends in a newline")
	p.await("--trim")
	p.leave(0)
	if got := get(); got != "s3cret\n" {
		t.Errorf("stored %q", got)
	}
	for text, want := range map[string]string{"s3cret\n": "s3cret", "s3cret\r\n": "s3cret", "s3cret": "s3cret", "a\nb\n\n": "a\nb\n"} {
		p = sit(t, env, pipe(text), "put", "token", "--trim")
		p.leave(0)
		if got := get(); got != want || strings.Contains(p.seen(), "warning") {
			t.Errorf("%q: stored %q; the screen shows %q", text, got, p.seen())
		}
	}
	for _, quiet := range []string{"s3cret", "two\nlines\n"} {
		p = sit(t, env, pipe(quiet), "put", "token")
		p.leave(0)
		if strings.Contains(p.seen(), "warning") {
			t.Errorf("%q: the screen shows %q", quiet, p.seen())
		}
	}
}

// A mistake in hidden input is noticed.
func TestTwoValuesThatDiffer(t *testing.T) {
	env := home(t)
	p := sit(t, env, nil, "put", "token")
	p.answer("Value of token", "s3cret\n")
	p.answer("The same again", "s3crte\n")
	p.await("the two values differ, and nothing was stored")
	p.leave(2)
	sit(t, env, nil, "exists", "token").leave(3)
}

// The command asks for the passphrase on the terminal while the value comes from a pipe.
// The clock stops while a person thinks.
func TestPassphraseBesideAPipe(t *testing.T) {
	env := home(t)
	p := sit(t, env, nil, "init", "--passphrase")
	p.await("New passphrase")
	p.awaitHidden()
	p.enter("correct horse battery\n")
	p.await("same again")
	p.awaitHidden()
	p.enter("correct horse battery\n")
	p.await("new store")
	p.leave(0)

	pipe := func(c *exec.Cmd) { c.Stdin = strings.NewReader("from the pipe") }
	p = sit(t, env, pipe, "put", "token", "--timeout", "3s")
	p.await("Passphrase for local")
	p.awaitHidden()
	time.Sleep(3500 * time.Millisecond)
	p.enter("correct horse battery\n")
	p.leave(0)

	var out bytes.Buffer
	p = sit(t, env, func(c *exec.Cmd) { c.Stdout = &out }, "get", "token")
	p.await("Passphrase")
	p.awaitHidden()
	p.enter("correct horse battery\n")
	p.leave(0)
	if out.String() != "from the pipe" {
		t.Errorf("got %q", out.String())
	}
	if strings.Contains(p.seen(), "horse") {
		t.Error("the passphrase shows")
	}
}

func TestTwoPassphrasesThatDiffer(t *testing.T) {
	p := sit(t, home(t), nil, "init", "--passphrase")
	p.await("New passphrase")
	p.awaitHidden()
	p.enter("correct horse battery\n")
	p.await("same again")
	p.awaitHidden()
	p.enter("correct horse batter\n")
	p.await("differ")
	p.leave(2)
}

func TestGeneratedPassphrase(t *testing.T) {
	env := home(t)
	p := sit(t, env, nil, "init", "--passphrase")
	p.await("New passphrase")
	p.awaitHidden()
	p.enter("\n")
	p.await("Use it? [Y/n] ")
	phrase := regexp.MustCompile(`([a-z2-7]{5}-){4}[a-z2-7]{5}`).FindString(p.seen())
	if phrase == "" {
		t.Fatalf("no passphrase in %q", p.seen())
	}
	p.enter("\n")
	p.await("new store")
	p.leave(0)
	p = sit(t, append(env, "NEBULA_PASSPHRASE="+phrase), nil, "key", "list")
	p.await("argon2id")
	p.leave(0)
	if strings.Contains(p.seen(), "not authenticated") {
		t.Error("the passphrase does not open the store")
	}
}

func TestInterruptAtThePrompt(t *testing.T) {
	for _, name := range []string{"interrupt", "terminate", "end of input"} {
		t.Run(name, func(t *testing.T) {
			p := sit(t, home(t), nil, "put", "token")
			p.await("hidden")
			p.awaitHidden()
			switch name {
			case "interrupt":
				p.enter("s3cr\x03")
			case "terminate":
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			default:
				p.enter("\x04")
			}
			if name == "end of input" {
				p.await("nothing was entered")
			} else {
				p.await("interrupted")
			}
			p.leave(130)
			if strings.Contains(p.seen(), "s3cr") {
				t.Error("what was typed shows")
			}
		})
	}
}

func TestQuestionBeforePurging(t *testing.T) {
	env := home(t)
	store := func() {
		p := sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token")
		p.leave(0)
	}
	store()
	for answer, code := range map[string]int{"n\n": 130, "\n": 130} {
		p := sit(t, env, nil, "purge", "token")
		p.await("Purge 1 credential from local")
		p.await("[y/N] ")
		p.enter(answer)
		p.leave(code)
		sit(t, env, nil, "exists", "token").leave(0)
	}
	p := sit(t, env, nil, "delete", "--all")
	p.await("Delete 1 credential")
	p.enter("y\n")
	p.await("deleted 1 credential")
	p.leave(0)
	sit(t, env, nil, "exists", "token").leave(3)
	store()
	p = sit(t, env, nil, "delete", "token") // does not ask
	p.leave(0)
}

// A rotation asks for the passphrases, hidden, before it asks whether to rotate. A
// passphrase that is typed early does not show.
func TestQuestionBeforeRotating(t *testing.T) {
	env := home(t)
	sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token").leave(0)
	sit(t, append(env, "NEBULA_NEW_PASSPHRASE=correct horse battery"), nil, "key", "add", "--passphrase", "--kdf", "pbkdf2-sha256").leave(0)
	p := sit(t, env, nil, "key", "rotate")
	p.await("Passphrase for local")
	p.awaitHidden()
	if strings.Contains(p.seen(), "Replace the data key?") {
		t.Errorf("it asked too early: %q", p.seen())
	}
	p.enter("correct horse battery\n")
	p.await("Replace the data key?")
	p.enter("y\n")
	p.await("1 credential sealed anew")
	p.leave(0)
	if strings.Contains(p.seen(), "horse") || strings.Count(p.seen(), "Passphrase for") != 1 {
		t.Errorf("the screen shows %q", p.seen())
	}
	p = sit(t, env, nil, "key", "rotate")
	p.await("Passphrase for local")
	p.awaitHidden()
	p.enter("not that one\n")
	p.answer("try 2 of 3", "nor that\n")
	p.answer("try 3 of 3", "nor that\n")
	p.await("opens the slots")
	p.leave(2)
	if strings.Contains(p.seen(), "Replace the data key?") {
		t.Errorf("it asked whether to rotate although it cannot: %q", p.seen())
	}
}

// If two people have passphrases, a rotation asks for both, one after the other.
func TestRotatingWithTwoPassphrases(t *testing.T) {
	env := home(t)
	sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token").leave(0)
	for _, phrase := range []string{"correct horse battery", "another horse battery"} {
		sit(t, append(env, "NEBULA_NEW_PASSPHRASE="+phrase), nil, "key", "add", "--passphrase", "--kdf", "pbkdf2-sha256").leave(0)
	}
	p := sit(t, env, nil, "key", "rotate")
	p.answer("Passphrase for local", "correct horse battery\n")
	p.answer("try 2 of 3", "another horse battery\n")
	p.await("Replace the data key?")
	p.enter("y\n")
	p.await("1 credential sealed anew")
	p.leave(0)
	for _, phrase := range []string{"correct horse battery", "another horse battery"} {
		env := append(env, "XDG_CONFIG_HOME="+t.TempDir(), "NEBULA_PASSPHRASE="+phrase)
		sit(t, env, nil, "get", "token").leave(0)
	}
}

// A table that is too wide for the terminal is written as lines. One that fits has
// columns, even with a record that cannot be read.
func TestTableFitsTheTerminal(t *testing.T) {
	env := home(t)
	for _, id := range []string{"a", "b_with_a_longer_name", "c"} {
		sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", id, "--tag", "team=platform", "--tag", "env=production").leave(0)
	}
	base := filepath.Join(strings.TrimPrefix(env[0], "HOME="), ".local", "share", "nebula", "credentials")
	if err := os.WriteFile(filepath.Join(base, "b_with_a_longer_name.enc.json"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for columns, want := range map[uint16]string{
		120: `a                     20\d\d-\d\d-\d\d \d\d:\d\d  20\d\d-.*  -         env=production team=platform\r\nb_with_a_longer_name  unreadable: corrupted\r\nc                     20`,
		60:  `a\r\n  modified: 20.*\r\n  created: 20.*\r\n  tags: env=production team=platform\r\n`,
	} {
		p := sit(t, env, func(c *exec.Cmd) {
			if err := pty.Setsize(c.Stdin.(*os.File), &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
				t.Fatal(err)
			}
		}, "list", "--long")
		p.leave(5)
		if !regexp.MustCompile(want).MatchString(p.seen()) {
			t.Errorf("%d columns: %s", columns, p.seen())
		}
	}
}

func TestColourOnATerminal(t *testing.T) {
	env := home(t)
	p := sit(t, env, nil, "doctor")
	p.await("\x1b[32m")
	p.leave(0)
	p = sit(t, append(env, "NO_COLOR=1"), nil, "doctor")
	p.leave(0)
	if strings.Contains(p.seen(), "\x1b") {
		t.Errorf("colour: %q", p.seen())
	}
}

// The command leaves no core dump and cannot be traced.
func TestCommandIsHardened(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc")
	}
	p := sit(t, home(t), nil, "put", "token")
	p.await("hidden")
	// If a process is not dumpable, its files in /proc belong to root.
	limits, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "limits"))
	if err == nil && !regexp.MustCompile(`Max core file size +0 `).Match(limits) {
		t.Errorf("a core dump is possible:\n%s", limits)
	}
	p.enter("\x03")
	p.leave(130)
}
