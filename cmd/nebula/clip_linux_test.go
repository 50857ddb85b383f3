package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/clip"
)

// session is a desktop session with a clipboard.
type session struct {
	t   *testing.T
	env []string
}

// newX starts an X server without a screen. It does not reset when its last client ends,
// because a desktop always has a client.
func newX(t *testing.T, env []string) *session {
	t.Helper()
	needs(t, "Xvfb", "xclip", "strace")
	told, display, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	defer display.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-noreset", "-nolisten", "tcp", "-screen", "0", "64x64x8")
	cmd.ExtraFiles = []*os.File{display}
	launch(t, cmd)
	if err := told.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	number, err := bufio.NewReader(told).ReadString('\n') // the line may come in two parts
	if err != nil {
		t.Fatal(err)
	}
	return &session{t, append(env, "DISPLAY=:"+strings.TrimSpace(number))}
}

// launch starts a server. It ends with the test, or with this process.
func launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

// run runs a program of the session and returns its output. It waits until nobody can
// write more, like a shell that reads the output of a command.
func (s *session) run(input string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stdin, cmd.WaitDelay = s.env, strings.NewReader(input), time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pasted gives up after a second: if the owner of the value ends after it was asked,
// xclip waits for ever.
func (s *session) pasted() string {
	out, err := s.run("", "timeout", "1", "xclip", "-selection", "clipboard", "-out")
	if err != nil {
		return ""
	}
	return out
}

// awaitPasted waits until the clipboard holds a text.
func (s *session) awaitPasted(want string, read func() string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := read()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the clipboard holds %q, want %q", got, want)
		}
	}
}

// start runs a nebula command under strace. strace ends with the last process of the
// command.
func (s *session) start(trace string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := new(exec.Cmd)
	traced(s.t, cmd, "execve,write,pwrite64,writev", trace, args...)
	cmd.Env = s.env
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd
}

// The clipboard has the value, and is then cleared. The caller does not wait for that.
func TestClip(t *testing.T) {
	s := newX(t, stored(t, "token", "grüße 日本\n\n"))
	began := time.Now()
	out, err := s.run("", "sh", "-c", "exec nebula get token --clip --clear-after 5s 3>&1")
	if err != nil || out != "" {
		t.Fatalf("%q, %v", out, err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the caller waited %v", took)
	}
	if got := s.pasted(); got != "grüße 日本\n" {
		t.Errorf("the clipboard holds %q", got)
	}
	s.awaitPasted("", s.pasted)
	if out, err := s.run("", "nebula", "get", "token", "--clip", "--clear-after", "0"); err != nil || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	if got := s.pasted(); got != "grüße 日本\n" {
		t.Errorf("the clipboard holds %q", got)
	}
}

// The value goes only through pipes, and the children have nothing that opens the store.
// At the end no process is left.
func TestClipLeavesNothing(t *testing.T) {
	s := newX(t, append(stored(t, "token", "canary-3f9c"), "NEBULA_NEW_PASSPHRASE=phrase-8a2d"))
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := s.start(trace, "get", "token", "--clip", "--clear-after", "3s")
	s.awaitPasted("canary-3f9c", s.pasted)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := s.pasted(); got != "" {
		t.Errorf("the clipboard holds %q", got)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	copied, began := 0, 0
	for line := range strings.Lines(string(text)) {
		execve := strings.Contains(line, "execve(")
		if execve {
			began++
		}
		switch has := strings.Contains(line, "canary"); {
		case has && !execve && (strings.Contains(line, "<pipe:") || strings.Contains(line, "<socket:") || strings.Contains(line, "<UNIX")):
			copied++
		case has, execve && began > 1 && strings.Contains(line, "phrase-8a2d"):
			t.Errorf("a leak: %s", line)
		}
	}
	if copied < 2 || began < 6 {
		t.Errorf("the value was seen in %d writes, and %d programs", copied, began)
	}
}

// A text that somebody copied meanwhile stays.
func TestClipLeavesAnother(t *testing.T) {
	s := newX(t, stored(t, "token", "value"))
	cmd := s.start(filepath.Join(t.TempDir(), "trace"), "get", "token", "--clip", "--clear-after", "2s")
	s.awaitPasted("value", s.pasted)
	put := exec.Command("xclip", "-selection", "clipboard", "-in")
	put.Env, put.Stdin = s.env, strings.NewReader("another")
	if err := put.Run(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := s.pasted(); got != "another" {
		t.Errorf("the clipboard holds %q", got)
	}
}

// The end of the terminal neither ends the clipboard nor prevents its clearing. A signal
// clears it at once.
func TestClipOutlivesTheTerminal(t *testing.T) {
	s := newX(t, stored(t, "token", "value"))
	p := sit(t, s.env, nil, "get", "token", "--clip", "--clear-after", "3s")
	p.await("token is in the clipboard, which is cleared after 3s")
	p.leave(0)
	p.terminal.Close()
	p.tty.Close()
	if got := s.pasted(); got != "value" {
		t.Errorf("the clipboard holds %q", got)
	}
	s.awaitPasted("", s.pasted)
	if _, err := s.run("", "nebula", "get", "token", "--clip", "--clear-after", "0"); err != nil {
		t.Fatal(err)
	}
	what, err := json.Marshal(clearing{After: time.Hour, Mark: clip.MarkOf([]byte("value"))})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nebula", clearerName)
	cmd.Env = s.env
	to, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal(err)
	}
	if _, err := to.Write(append(what, '\n')); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Error(err)
	}
	if got := s.pasted(); got != "" {
		t.Errorf("the clipboard holds %q", got)
	}
}

// If there is no display, nothing is left running.
func TestClipFails(t *testing.T) {
	needs(t, "xclip", "strace")
	s := &session{t, append(stored(t, "token", "canary"), "DISPLAY=:65000")}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := s.start(trace, "get", "token", "--clip")
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v", err)
	}
	out, err := s.run("", "nebula", "get", "token", "--clip")
	if err == nil || !strings.Contains(out, "did not take the value: xclip") || !strings.Contains(out, "--osc52") || strings.Contains(out, "canary") {
		t.Errorf("%q, %v", out, err)
	}
}

// A compositor without a screen. If wl-copy does not know --sensitive, it is called
// without, and the file that it keeps is removed with the value.
func TestClipWayland(t *testing.T) {
	needs(t, "sway", "wl-copy")
	dir, err := os.MkdirTemp("", "wayland") // the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("sway", "-c", "/dev/null")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "WLR_BACKENDS=headless", "WLR_LIBINPUT_NO_DEVICES=1", "WLR_RENDERER=pixman"}
	if os.Getuid() == 0 { // sway refuses to run as root
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, cmd)
	s := &session{t, append(stored(t, "token", "grüße\n"), "XDG_RUNTIME_DIR="+dir, "WAYLAND_DISPLAY="+socketIn(t, dir))}
	pasted := func() string {
		out, err := s.run("", "wl-paste", "--no-newline")
		if err != nil {
			return ""
		}
		return out
	}
	before := wlFiles(t)
	out, err := s.run("", "nebula", "get", "token", "--clip", "--clear-after", "4s")
	if err != nil || strings.Contains(out, "grüße") {
		t.Fatalf("%q, %v", out, err)
	}
	if got := pasted(); got != "grüße" {
		t.Errorf("the clipboard holds %q", got)
	}
	s.awaitPasted("", pasted)
	for deadline := time.Now().Add(5 * time.Second); wlFiles(t) > before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("wl-copy left its file")
		}
	}
}

// socketIn waits for the socket of a compositor.
func socketIn(t *testing.T, dir string) string {
	t.Helper()
	for range 1000 {
		for i := range 10 {
			name := "wayland-" + strconv.Itoa(i)
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return name
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sway made no socket")
	return ""
}

func wlFiles(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob("/tmp/wl-copy-buffer-*")
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// The sequence OSC 52 goes to the terminal, whatever standard output is.
func TestClipOfTheTerminal(t *testing.T) {
	env := stored(t, "token", "value\n")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := sit(t, env, func(c *exec.Cmd) { c.Stdout = out }, "get", "token", "--osc52")
	p.await("\x1b]52;c;dmFsdWU=\a")
	p.await("nebula: token was sent to the terminal's clipboard")
	p.await("not cleared")
	p.leave(0)
	if text, err := os.ReadFile(out.Name()); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
}
