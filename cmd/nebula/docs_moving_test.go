//go:build unix

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The commands of docs/moving.md, one after the other.
func TestMovingPage(t *testing.T) {
	d := newDocument(t, "moving.md")
	text := strings.ReplaceAll(d.block("toml", "[storage.vault]"), "~/.config/nebula/key", "~/key")
	text += "[stores.partner.local]\nbase_path = \"~/partner\"\n[stores.partner.key]\nfile = \"~/partner.key\"\n"
	for _, place := range []string{".config/nebula/config.toml", "Library/Application Support/nebula/config.toml"} {
		d.write("", place, text)
	}
	d.write("", "token", "ghp_1")
	d.write("", "key.pem", "a key\n")
	d.env["NEBULA_KEY_FILE"] = filepath.Join(d.home(""), "key")
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.home(""), "credentials")
	if out, err := d.run("", "nebula init --key-file key"); err != nil {
		t.Fatal(out, err)
	}
	want := map[string]string{
		"copy --from default --to archive --all --dry-run": "would copy 2",
		"copy --from default --to archive --all":           "copied 2 credentials",
		"--store archive get github_token":                 "ghp_1",
		"--tag env=prod -o json":                           `{"copied":[],"same":["tls_key"],"differs":[],"failed":[]}`,
		"--move":                                           "there already, and deleted at the source: 1",
		"tls_key --reseal":                                 "copied 1 credential",
		"--store partner get tls_key":                      "a key",
		"nebula list":                                      "edge_tls_key\nedge_tls_key_before\ngithub_token\n",
	}
	commands := slices.DeleteFunc(d.commands(), func(c [2]string) bool { return c[0] == "team" }) // see TestLiveTakeOver
	if len(commands) != 13 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		out, err := d.run("", c[1])
		if err != nil {
			t.Fatalf("%s: %v\n%s", c[1], err, out)
		}
		for ends, text := range want {
			if strings.HasSuffix(c[1], ends) {
				if !strings.Contains(out, text) {
					t.Errorf("%s: %s", c[1], out)
				}
				delete(want, ends)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing was checked of %v", want)
	}
}
