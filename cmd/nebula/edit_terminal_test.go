//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs finds programs of the machine. Without one the test is skipped, or fails if no
// test may be skipped.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatalf("there is no %s", name)
		}
		t.Skipf("there is no %s", name)
	}
}

// traced makes strace follow a command and all that it starts, even after it ends.
func traced(t *testing.T, c *exec.Cmd, calls, trace string, args ...string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal(err)
	}
	nebula, err := exec.LookPath("nebula")
	if err != nil {
		t.Fatal(err)
	}
	c.Path = strace
	c.Args = append([]string{"strace", "-f", "-y", "-v", "-s", "4096", "-e", "trace=" + calls, "-o", trace, nebula}, args...)
}

// Editors in a terminal change the value. Whatever their configuration says, they write
// the text only to the directory in memory.
func TestEditors(t *testing.T) {
	for editor, keys := range map[string][]string{
		"vim":  {":%s/one/two/\n", "two\x1b", ":wq\n"},
		"nano": {"two ", "two ", "\x13", "Wrote 1 line", "\x18"},
	} {
		t.Run(editor, func(t *testing.T) {
			needs(t, editor, "strace")
			env := append(stored(t, "config", "canary one\n"), "EDITOR="+editor)
			home := strings.TrimPrefix(env[0], "HOME=")
			for name, text := range map[string]string{".nanorc": "set backup\nset backupdir \"" + home + "\"\n", ".vimrc": "set backup backupdir=" + home + " undofile undodir=" + home + "\n"} {
				if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			trace := filepath.Join(t.TempDir(), "trace")
			p := sit(t, env, func(c *exec.Cmd) { traced(t, c, "write,pwrite64,writev", trace, "edit", "config") })
			p.await("canary one")
			for i, key := range keys {
				if i%2 == 0 {
					p.enter(key)
				} else {
					p.await(key)
				}
			}
			p.leave(0)
			inMemoryOnly(t, trace)
			get := exec.Command("nebula", "get", "config")
			get.Env = env
			if out, err := get.Output(); err != nil || !strings.Contains(string(out), "two") {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// inMemoryOnly looks for the text in everything that was written to files.
func inMemoryOnly(t *testing.T, trace string) {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "canary") {
			continue
		}
		written++
		if !strings.Contains(line, "</dev/shm/nebula-child-") && !strings.Contains(line, "</dev/pts/") {
			t.Errorf("the text was written to: %s", line)
		}
	}
	if written < 2 {
		t.Errorf("the value was seen in %d writes", written)
	}
}
