package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The canaries are a value, a passphrase and a key. The tests look for them in all
// output, in what children get, and in every file that is left. They are a leak if they
// are anywhere but in their place.
const (
	canaryValue  = "canary-value-3f9c1e7d5b"
	canaryPhrase = "canary-phrase-8a2d6f4c0e"
)

// traces are the forms in which a canary might appear.
func traces(canary string) [][]byte {
	return [][]byte{
		[]byte(canary),
		[]byte(hex.EncodeToString([]byte(canary))),
		[]byte(base64.StdEncoding.EncodeToString([]byte(canary))[:24]),
	}
}

type canaryRun struct {
	t    *testing.T
	home string
	env  []string
}

func (r *canaryRun) run(stdin string, env []string, args ...string) (stdout string) {
	r.t.Helper()
	cmd := exec.Command("nebula", args...)
	cmd.Env = append(append([]string{}, r.env...), env...)
	cmd.Dir = r.home
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // many commands must fail
	r.inspect(strings.Join(args, " ")+": standard error", errs.Bytes(), canaryValue, canaryPhrase)
	if args[0] != "get" {
		r.inspect(strings.Join(args, " ")+": standard output", out.Bytes(), canaryValue)
	}
	r.inspect(strings.Join(args, " ")+": standard output", out.Bytes(), canaryPhrase)
	return out.String()
}

func (r *canaryRun) inspect(where string, text []byte, canaries ...string) {
	r.t.Helper()
	for _, canary := range canaries {
		for _, trace := range traces(canary) {
			if bytes.Contains(text, trace) {
				r.t.Errorf("%s shows %s: %q", where, canary[:12], text)
			}
		}
	}
}

// files looks at every file below the home directory, except those that the test made.
func (r *canaryRun) files(except ...string) {
	r.t.Helper()
	seen := 0
	err := filepath.WalkDir(r.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, name := range except {
			if filepath.Base(path) == name {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		seen++
		r.inspect(path, text, canaryValue, canaryPhrase)
		return err
	})
	if err != nil || seen < 3 {
		r.t.Errorf("%d files were seen: %v", seen, err)
	}
}

func TestCanary(t *testing.T) {
	r := &canaryRun{t: t, home: t.TempDir()}
	tmp := filepath.Join(r.home, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	r.env = []string{"HOME=" + r.home, "TMPDIR=" + tmp, "PATH=" + os.Getenv("PATH"), raceExit}
	phrase := []string{"NEBULA_PASSPHRASE=" + canaryPhrase}
	write := func(name, text string) string {
		path := filepath.Join(r.home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	valueFile := write("value", canaryValue)
	broken := write("broken.toml", "[stores.x.key]\npassphrase_command = [\""+canaryPhrase+"\"]\n")
	shown := write("shown.toml", "[stores.x]\nprovider = \"memory\"\n[stores.x.key]\npassphrase_command = \"child "+canaryPhrase+"\"\n")

	r.run(canaryValue, phrase, "put", "one", "--tag", "k=v")
	if got := r.run("", phrase, "get", "one"); got != canaryValue {
		t.Fatalf("got %q", got)
	}
	r.run(canaryValue, phrase, "put", "one", "--if-absent")
	r.run(canaryValue, phrase, "put", "../escape")
	r.run(canaryValue, phrase, "put", "one", "--if-version", "x", "-o", "json")
	r.run("", phrase, "put", "one", canaryValue)
	r.run("", phrase, "put", "one", "--value="+canaryValue, "-o", "json")
	r.run("", phrase, "put", "one", "-x"+canaryValue)
	r.run("", phrase, "put", "two", "--file", valueFile)
	r.run("", []string{"NEBULA_PASSPHRASE_COMMAND=child " + canaryPhrase}, "get", "two")
	r.run("", []string{"NEBULA_PASSPHRASE_COMMAND=no-such-program " + canaryPhrase}, "get", "two")
	r.run("", append(phrase, "NEBULA_PASSPHRASE_COMMAND=child wrong"), "get", "two")
	r.run("", []string{"NEBULA_PASSPHRASE_FILE=" + write("phrase", canaryPhrase+"!")}, "get", "two", "-o", "json")
	for _, name := range []string{"NEBULA_KEY", "NEBULA_KEY_ID", "NEBULA_KEY_FILE", "NEBULA_PASSPHRASE_FILE", "NEBULA_PASSPHRASE_COMMAND",
		"NEBULA_STORAGE_VAULT_AUTH_TOKEN_FILE", "NEBULA_KEYS", "NEBULA_STORGE_PROVIDER"} {
		for _, args := range [][]string{{"get", "two"}, {"get", "two", "-o", "json"}, {"doctor"}, {"key", "list"}} {
			r.run("", []string{name + "=" + canaryPhrase}, args...)
		}
	}
	r.run("", append(phrase, "NEBULA_NEW_PASSPHRASE="+canaryPhrase+"x", "NEBULA_STORAGE_SCOPE=\x01"), "key", "add", "--passphrase")
	r.run("", append(phrase, "NEBULA_NEW_PASSPHRASE="+canaryPhrase+"x"), "key", "add", "--passphrase", "--kdf", "pbkdf2-sha256")
	for _, args := range [][]string{
		{"list", "--long", "--verify"}, {"list", "-o", "json", "--verify"}, {"tag", "one", "a=b"}, {"history", "one"},
		{"restore", "one"}, {"key", "list"}, {"doctor"}, {"doctor", "-o", "json"}, {"config", "show"}, {"init"},
		{"key", "remove", "aaaaaaaa"}, {"config", "validate", "--config", broken}, {"config", "show", "--config", broken},
		{"config", "show", "--config", shown}, {"config", "show", "--config", shown, "-o", "json"},
		{"put", "three", "--timeout", "1ns"}, {"get", "one", "--timeout", "1ns"},
	} {
		r.run(canaryValue, phrase, args...)
	}
	record := filepath.Join(r.home, ".local", "share", "nebula", "credentials", "one.enc.json")
	if text, err := os.ReadFile(record); err != nil || os.WriteFile(record, append(text, '\n'), 0o600) != nil {
		t.Fatal(err)
	}
	r.run("", phrase, "get", "one")
	r.run(canaryValue, phrase, "put", "one")
	r.run(canaryValue, phrase, "put", "one", "--force")
	r.run("", phrase, "delete", "--all", "--dry-run")
	r.files("value", "phrase", "broken.toml", "shown.toml")
	r.run("", phrase, "purge", "--all", "--yes")
}
