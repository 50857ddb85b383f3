//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The commands of docs/using.md, with the output that it shows.
func TestUsingPage(t *testing.T) {
	d := newDocument(t, "using.md")
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	d.write("ada", "app.env", d.block("ini", "DB_USER"))
	d.write("ada", "app.conf.tmpl", d.block("ini", "# {{"))
	commands := d.commands()
	if len(commands) != 20 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		if c[0] == "ops" {
			d.watched(c[1])
			continue
		}
		text, err := d.run(c[0], c[1])
		if err != nil {
			t.Fatalf("%s: %v\n%s", c[1], err, text)
		}
		if !strings.HasPrefix(c[1], "printf") && !strings.HasPrefix(c[1], "nebula put") && !strings.Contains(d.text, c[1]+"\n"+text) {
			t.Errorf("%s: the page does not show that it prints\n%s", c[1], text)
		}
	}
	for _, name := range []string{"key.pub", "app.conf"} {
		if info, err := os.Stat(filepath.Join(d.home("ada"), name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// watched runs a command that waits for a change, and makes one.
func (d *document) watched(command string) {
	d.t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env = d.home("ada"), d.environ("ada")
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	changed := ""
	for end := time.Now().Add(20 * time.Second); changed == "" && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		// A change does not count before the command watches, so there are several.
		if text, err := d.run("ada", "date +%s%N | nebula put app_config --trim"); err != nil {
			d.t.Fatal(text)
		}
		time.Sleep(time.Second)
		text, _ := os.ReadFile(filepath.Join(cmd.Dir, "changed"))
		changed = string(text)
	}
	if !strings.HasPrefix(changed, "app_config\n") {
		d.t.Errorf("the command of watch wrote %q", changed)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	_ = cmd.Wait() // it was interrupted
}
