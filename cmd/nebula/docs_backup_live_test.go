//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The commands of docs/backup.md, one after the other, on a store with one credential.
// Directories of the test replace those in /var.
func TestLiveBackupPage(t *testing.T) {
	d := newDocument(t, "backup.md")
	script, err := os.ReadFile(filepath.Join("..", "..", "docs", "reader.py"))
	if err != nil {
		t.Fatal(err)
	}
	d.write("ops", "reader.py", string(script))
	python := livetest.Python(t)
	here := func(text string) string {
		text = strings.ReplaceAll(text, "/var/tmp", d.root)
		text = strings.ReplaceAll(text, "/var/backups/nebula", filepath.Join(d.home("ops"), "backups"))
		return strings.Replace(text, "python3", python+" -I", 1)
	}
	for _, config := range []string{".config/nebula/config.toml", "Library/Application Support/nebula/config.toml"} {
		d.write("ops", config, here(d.block("toml", "[stores.proof]")))
	}
	must := func(command string) string {
		t.Helper()
		text, err := d.run("ops", command)
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
		return text
	}
	must("nebula init --key-file ~/.config/nebula/key")
	must("printf s3cret | nebula put db_password")
	must("NEBULA_STORAGE_LOCAL_BASE_PATH=" + d.root + "/nebula-other nebula init --key-file other.key")

	commands := d.commands()
	if len(commands) != 12 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		command := here(c[1])
		switch text := must(command); {
		case strings.HasSuffix(command, "import backup.nebula"):
			if !strings.Contains(text, "imported 1 credential, 0 there already; with the keyring") && !strings.Contains(text, "1 there already") {
				t.Errorf("%s: %s", command, text)
			}
		case strings.Contains(command, "get db_password"), strings.Contains(command, "reader.py backup.nebula db_password"):
			if text != "s3cret" {
				t.Errorf("%s: %s", command, text)
			}
		case strings.Contains(command, "reader.py"):
			if !strings.Contains(text, `{"id": "db_password", "value": "s3cret",`) {
				t.Errorf("%s: %s", command, text)
			}
		case strings.Contains(command, "--reseal"), strings.Contains(command, "import -"):
			if !strings.Contains(text, "imported 1 credential") {
				t.Errorf("%s: %s", command, text)
			}
		}
	}

	// The script of the schedule.
	d.write("ops", "nebula-backup", here(d.block("sh", "#!/bin/sh")))
	d.write("ops", "backups/old.nebula", "old")
	must("touch -d '40 days ago' backups/old.nebula; sh ./nebula-backup")
	if made, err := filepath.Glob(filepath.Join(d.home("ops"), "backups", "*.nebula")); err != nil || len(made) != 1 || strings.HasSuffix(made[0], "old.nebula") {
		t.Errorf("%v, %v", made, err)
	}
	d.write("ops", "backups/old.nebula", "old")
	if text, err := d.run("ops", "touch -d '40 days ago' backups/old.nebula; NEBULA_STORAGE_LOCAL_BASE_PATH=nowhere sh ./nebula-backup"); err == nil {
		t.Errorf("without a store: %s", text)
	}
	must("test -e backups/old.nebula")
}

// The page says that the reader has 200 lines.
func TestReaderIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "reader.py"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 200 {
		t.Errorf("%d lines", lines)
	}
}

// systemd accepts the units, and the line of cron has its seven fields.
func TestBackupSchedule(t *testing.T) {
	d := newDocument(t, "backup.md")
	if fields := strings.Fields(d.block("crontab", "")); len(fields) != 7 || !regexp.MustCompile(`^[0-9]+ [0-9]+ \* \* \*$`).MatchString(strings.Join(fields[:5], " ")) {
		t.Errorf("the line of cron is %q", fields)
	}
	program := filepath.Join(t.TempDir(), "nebula-backup")
	if err := os.WriteFile(program, []byte(d.block("sh", "#!/bin/sh")), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := regexp.MustCompile("(?s)```systemd\n(.*?)```").FindAllStringSubmatch(d.text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d units", len(blocks))
	}
	for i, name := range []string{"nebula-backup.service", "nebula-backup.timer"} {
		text := strings.ReplaceAll(blocks[i][1], "/usr/local/bin/nebula-backup", program)
		text = strings.Replace(text, "User=nebula-backup", "User=root", 1) // the user is not on this machine
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wantUnit(t, text)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // the form has been checked
	}
	out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, "nebula-backup.service"), filepath.Join(dir, "nebula-backup.timer")).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "nebula-backup") { // it reports problems in other units, too
			t.Errorf("%v: %s", err, line)
		}
	}
}

// wantUnit checks the form of a unit: sections, and lines of KEY=VALUE.
func wantUnit(t *testing.T, text string) {
	t.Helper()
	sections := []string{"[Unit]", "[Service]", "[Timer]", "[Install]"}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" && !slices.Contains(sections, line) && !regexp.MustCompile(`^[A-Z][A-Za-z]+=\S.*$`).MatchString(line) {
			t.Errorf("a line of a unit is %q", line)
		}
	}
}
