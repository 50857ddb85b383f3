//go:build linux

package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/nebula-credential/nebula/internal/testing/cast"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

var update = flag.Bool("update", false, "record docs/terminal.cast again, and draw it")

// pictured are the commands of the picture in README: Nebula in one minute.
var pictured = []string{
	`nebula put db_password --generate 32  # into files: nothing to set up`,
	`nebula put tls_key --file key.pem --tag env=prod`,
	`nebula run --env PASSWORD=db_password -- sh -c 'echo "${#PASSWORD} characters"'`,
	`nebula copy --from default --to vault --all  # to HashiCorp Vault, sealed as they are`,
	`NEBULA_STORAGE_PROVIDER=vault nebula list --tag env=prod  # the same commands there`,
	`cd .local/share/nebula/credentials && cp db_password.enc.json tls_key.enc.json`,
	`nebula get tls_key  # somebody has swapped two records`,
}

var randomSlot = regexp.MustCompile(`  [a-z2-7]{8} \(key-file\)`)

// alike returns the output without what differs each time: the id of a slot, and
// the progress that a slow machine shows and removes.
func alike(printed string) string {
	var b strings.Builder
	for line := range strings.Lines(randomSlot.ReplaceAllString(printed, "  hifwrktf (key-file)")) {
		text := strings.TrimSuffix(line, "\r\n")
		b.WriteString(line[strings.LastIndex(text, "\r")+1:])
	}
	return b.String()
}

func pictureFile(name string) string { return filepath.Join("..", "..", "docs", name) }

// The picture shows a session as it runs today, on a terminal, with a real Vault. To
// record it again:
//
//	go test ./cmd/nebula -run Picture -update
func TestLivePicture(t *testing.T) {
	vault := livetest.Vault(t)
	d := &document{t: t, root: t.TempDir(), env: map[string]string{"VAULT_ADDR": vault.Address, "VAULT_TOKEN": vault.RootToken,
		"NEBULA_STORAGE_VAULT_MOUNT_PATH": vault.Mount(t, 2), "TERM": "xterm", keepTerminal: "1"}}
	if vault.CAFile != "" {
		d.env["NEBULA_STORAGE_VAULT_CA_CERT"] = vault.CAFile
	}
	d.write("", "key.pem", "a key\n")
	recorded := &cast.Cast{Width: 96, Height: 24, Title: "A session: credentials in files, in a program, in Vault, and an edit that is noticed"}
	for _, command := range pictured {
		cmd := d.typing(command)
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(recorded.Height), Cols: uint16(recorded.Width)})
		if err != nil {
			t.Fatal(err)
		}
		printed, _ := io.ReadAll(terminal) // EIO: the last program on the terminal has ended
		terminal.Close()
		if err := cmd.Wait(); (err != nil) != strings.HasPrefix(command, "nebula get") {
			t.Fatalf("%s: %v\n%s", command, err, printed)
		}
		recorded.Type(command, alike(strings.ReplaceAll(string(printed), d.home(""), "/home/ada")))
	}
	var text bytes.Buffer
	if _, err := recorded.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	if *update {
		drawing, err := recorded.SVG()
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{"terminal.cast": text.Bytes(), "terminal.svg": []byte(drawing)} {
			if err := os.WriteFile(pictureFile(name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept, err := os.ReadFile(pictureFile("terminal.cast"))
	if err != nil || !bytes.Equal(kept, text.Bytes()) {
		t.Errorf("%v: the session has changed; go test ./cmd/nebula -run Picture -update records it\n%s", err, text.Bytes())
	}
}

// The drawing is made from the recording, and small enough for a page.
func TestPictureIsDrawn(t *testing.T) {
	text, err := os.ReadFile(pictureFile("terminal.cast"))
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := cast.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	drawing, err := recorded.SVG()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(pictureFile("terminal.svg"))
	if err != nil || string(kept) != drawing {
		t.Errorf("docs/terminal.svg is not drawn from docs/terminal.cast: %v", err)
	}
	if len(kept) > 8000 {
		t.Errorf("the drawing has %d bytes", len(kept))
	}
}
