//go:build linux

package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// The commands of docs/agent.md, at a terminal: they ask once, and not again.
func TestAgentPage(t *testing.T) {
	d := newDocument(t, "agent.md")
	run, err := os.MkdirTemp("", "run") // the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	d.env["XDG_RUNTIME_DIR"], d.env["TERM"], d.env[keepTerminal] = run, "xterm", "1"
	const passphrase = "correct horse battery staple"
	d.write("", "new", passphrase)
	d.write("", "token", "ghp_1")
	if out, err := d.run("", "NEBULA_NEW_PASSPHRASE_FILE=new nebula init --passphrase && NEBULA_PASSPHRASE_FILE=new nebula put github_token < token"); err != nil {
		t.Fatal(out)
	}
	first, _, _ := strings.Cut(d.text, "\n## ")
	page := *d
	page.text = first
	w := &walk{document: &page, alike: sampled}
	steps := w.steps()
	if len(steps) != 5 {
		t.Fatalf("%d commands", len(steps))
	}
	for _, step := range steps {
		if background, ok := strings.CutSuffix(step.command, " &"); ok {
			d.background(background)
			continue
		}
		cmd := d.typing(step.command)
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		printed := answering(t, terminal, "Passphrase for ", passphrase)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", step.command, err, printed)
		}
		w.compare(step, strings.ReplaceAll(printed, "\r\n", "\n"))
	}
}

// answering reads the output of a command on a terminal to its end, and types the answer
// whenever the command asks.
func answering(t *testing.T, terminal *os.File, question, answer string) string {
	t.Helper()
	defer terminal.Close()
	var printed strings.Builder
	asked := 0
	for buffer := make([]byte, 4096); ; {
		n, err := terminal.Read(buffer)
		printed.Write(buffer[:n])
		if err != nil { // EIO: the command has ended
			return printed.String()
		}
		if n := strings.Count(printed.String(), question); n > asked {
			asked = n
			if _, err := io.WriteString(terminal, answer+"\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// background starts the agent, and returns when it answers. The agent ends with the
// test.
func (d *document) background(command string) {
	d.t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env = d.home(""), d.environ("")
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, err := d.run("", "nebula agent status")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			d.t.Fatal(text)
		}
	}
}

// The unit is valid for systemd, and the other file is a property list.
func TestAgentServices(t *testing.T) {
	d := newDocument(t, "agent.md")
	wantUnit(t, d.block("ini", "[Unit]"))
	decoder := xml.NewDecoder(strings.NewReader(d.block("xml", "<?xml")))
	words := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			words += strings.TrimSpace(string(text)) + " "
		}
	}
	if !strings.Contains(words, "/usr/local/bin/nebula agent --ttl 1h") {
		t.Errorf("the property list starts %q", words)
	}
}

// The commands of docs/migrating.md, on a record that the Rust implementation wrote.
func TestMigratingPage(t *testing.T) {
	d := newDocument(t, "migrating.md")
	records := filepath.Join("..", "..", "migrate", "testdata")
	manifest, err := os.ReadFile(filepath.Join(records, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var value []byte
	for line := range strings.Lines(string(manifest)) {
		var r struct {
			File, Kind string
			Key        struct {
				Hex string `json:"key_hex"`
			}
			Plaintext string `json:"plaintext_b64"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind != "good" || r.Plaintext == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(records, filepath.FromSlash(r.File)))
		if err != nil {
			t.Fatal(err)
		}
		if value, err = base64.StdEncoding.DecodeString(r.Plaintext); err != nil {
			t.Fatal(err)
		}
		d.write("", "old/github_token.cred", string(text))
		d.write("", "old.key", r.Key.Hex)
		break
	}
	w := &walk{document: d, before: func(command string) string { return strings.Replace(command, "/var/lib/old", "old", 1) }}
	w.follow(4)
	if got, err := d.run("", "nebula get github_token"); err != nil || got != string(value) {
		t.Errorf("%q, %v", got, err)
	}
}
