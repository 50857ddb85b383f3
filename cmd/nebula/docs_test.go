//go:build unix

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// document is a page of the documentation. The tests run its commands.
type document struct {
	t    *testing.T
	text string
	root string            // directory with the home of each person
	env  map[string]string // the same for everybody
}

func newDocument(t *testing.T, name string) *document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return &document{t: t, text: string(text), root: t.TempDir(), env: make(map[string]string)}
}

// block returns the first block of a language with that beginning.
func (d *document) block(language, begins string) string {
	d.t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(d.text, -1) {
		if strings.HasPrefix(m[1], begins) {
			return m[1]
		}
	}
	d.t.Fatalf("there is no block of %s that begins with %q", language, begins)
	return ""
}

// commands returns the lines of console blocks: the person, and the command.
func (d *document) commands() (lines [][2]string) {
	for _, m := range regexp.MustCompile("(?ms)^ *```console\n(.*?)```").FindAllStringSubmatch(d.text, -1) {
		for line := range strings.Lines(m[1]) {
			if who, command, ok := strings.Cut(strings.TrimSpace(line), "$ "); ok && !strings.Contains(who, " ") {
				lines = append(lines, [2]string{who, command})
			}
		}
	}
	return lines
}

func (d *document) home(who string) string { return filepath.Join(d.root, "home-"+who) }

func (d *document) write(who, name, text string) {
	d.t.Helper()
	path := filepath.Join(d.home(who), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *document) environ(who string) []string {
	env := []string{"HOME=" + d.home(who), "PATH=" + os.Getenv("PATH"), raceExit}
	for name, value := range d.env {
		env = append(env, name+"="+value)
	}
	return env
}

// run runs a command in the home of a person.
func (d *document) run(who, command string) (output string, err error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = d.home(who), d.environ(who)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// keyring returns the output of key list.
func (d *document) keyring(who string) (ring keysJSON) {
	d.t.Helper()
	text, err := d.run(who, "nebula key list -o json 2>/dev/null")
	if err == nil {
		err = json.Unmarshal([]byte(text), &ring)
	}
	if err != nil {
		d.t.Fatalf("%v: %s", err, text)
	}
	return ring
}

func sshKey(t *testing.T) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(sshPub))
}

// The commands of docs/teams.md, one after the other, each by the person who types it.
func TestTeamsPage(t *testing.T) {
	d := newDocument(t, "teams.md")
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	public := map[string]string{}
	for _, who := range []string{"ada", "ben"} {
		private, line := sshKey(t)
		public[who] = line
		d.write(who, ".ssh/id_ed25519", private)
		d.write(who, ".ssh/id_ed25519.pub", line)
		config := ".config/nebula/config.toml"
		d.write(who, config, d.block("toml", "[key]"))
		d.write(who, "Library/Application Support/nebula/config.toml", d.block("toml", "[key]"))
	}
	d.write("ada", "ben.pub", public["ben"])
	commands := d.commands()
	if len(commands) != 9 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		who, command := c[0], c[1]
		if strings.Contains(command, "key remove") {
			command = strings.Replace(command, "v2mbt7ya", slotLabelled(t, d.keyring(who), "ben"), 1)
		}
		if strings.Contains(command, "trust") {
			if text, err := d.run("ben", "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
				t.Errorf("ben reads before he is told the key: %v, %s", err, text)
			}
			command = strings.Replace(command, "3f0c4c1d0f6e4b0f9d6a3c9b1e2d4f50", d.keyring("ada").KeyID, 1)
		}
		if strings.Contains(command, "destroy") {
			command = strings.Replace(command, "9a413f0c4c1d0f6e4b0f9d6a3c9b1e2d", d.keyring("ada").Retired[0], 1)
		}
		if text, err := d.run(who, command); err != nil {
			t.Fatalf("%s: %s: %v\n%s", who, command, err, text)
		}
	}
	for who, want := range map[string]string{"ada": "s3cret", "ben": "[exit 5]"} {
		text, err := d.run(who, "nebula get db_password 2>/dev/null || printf '[exit %s]' $?")
		if text != want {
			t.Errorf("%s gets %q, %v", who, text, err)
		}
	}
}

func slotLabelled(t *testing.T, ring keysJSON, label string) string {
	t.Helper()
	for _, slot := range ring.Slots {
		if slot.Label == label {
			return slot.ID
		}
	}
	t.Fatalf("no slot has the label %s", label)
	return ""
}
