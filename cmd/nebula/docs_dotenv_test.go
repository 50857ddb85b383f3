//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The commands of docs/dotenv.md, with the output and the files that it shows.
func TestDotenvPage(t *testing.T) {
	d := newDocument(t, "dotenv.md")
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	d.write("ada", "empty", "")
	d.write("eve", ".env", "A=1\nB=s3cret$x\n")
	commands := d.commands()
	if len(commands) != 11 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		text, err := d.run(c[0], c[1])
		if (err != nil) != (c[0] == "eve") {
			t.Errorf("%s: %v\n%s", c[1], err, text)
		}
		for line := range strings.Lines(text) {
			if (strings.Contains(c[1], "--out .env") || c[0] == "eve") && !strings.Contains(d.text, strings.TrimRight(line, "\n")) {
				t.Errorf("%s: the page does not show %q", c[1], line)
			}
		}
		if strings.Contains(text, "s3cret") && c[0] == "eve" {
			t.Errorf("%s shows a value: %s", c[1], text)
		}
	}
	written, err := os.ReadFile(filepath.Join(d.home("ada"), ".env"))
	if err != nil || string(written) != d.block("ini", "CONFIG=") {
		t.Errorf("%q, %v", written, err)
	}
	for _, name := range []string{"docker.env", "app.json", "app.yaml"} {
		if info, err := os.Stat(filepath.Join(d.home("ada"), name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
