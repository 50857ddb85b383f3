//go:build linux || darwin

package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// These benchmarks compare programs that print one secret of 1 KiB with the start of an
// empty Go program.

func BenchmarkProgramNebula(b *testing.B) {
	c := newCommand(b)
	c.run(b, value(), c.nebula, "put", "x")
	c.besideEmpty(b, c.nebula, "get", "x")
}

func BenchmarkProgramAge(b *testing.B) {
	c := newCommand(b)
	age := program(b, "age", ".", "filippo.io/age/cmd/age")
	identity, recipient := c.ageKey(b)
	sealed := filepath.Join(c.dir, "x.age")
	c.run(b, value(), age, "-r", recipient, "-o", sealed)
	c.besideEmpty(b, age, "-d", "-i", identity, sealed)
}

func BenchmarkProgramSops(b *testing.B) {
	sops := livetest.Sops(b)
	c := newCommand(b)
	identity, recipient := c.ageKey(b)
	c.env = append(c.env, "SOPS_AGE_KEY_FILE="+identity)
	file := filepath.Join(c.dir, "x.json")
	text, err := json.Marshal(map[string]string{"x": value()})
	check(b, err)
	check(b, os.WriteFile(file, text, 0o600))
	c.run(b, "", sops, "encrypt", "--age", recipient, "--in-place", file)
	c.besideEmpty(b, sops, "decrypt", "--extract", `["x"]`, file)
}

// BenchmarkProgramPass runs pass with gpg's agent, as in a session.
func BenchmarkProgramPass(b *testing.B) {
	pass := livetest.Pass(b)
	c := newCommand(b)
	gnupg, err := os.MkdirTemp("/tmp", "gpg") // the path of a socket must be short
	check(b, err)
	c.env = append(c.env, "GNUPGHOME="+gnupg, "PASSWORD_STORE_DIR="+filepath.Join(c.dir, "passwords"))
	b.Cleanup(func() {
		end := exec.Command("gpgconf", "--kill", "all")
		end.Env = c.env
		_ = end.Run()
		_ = os.RemoveAll(gnupg)
	})
	c.run(b, "", "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "ada@example.com", "default", "default", "never")
	c.run(b, "", pass, "init", "ada@example.com")
	c.run(b, value()+"\n", pass, "insert", "-m", "x")
	c.besideEmpty(b, pass, "show", "x")
}

// besideEmpty compares a program that prints the value with the empty one.
func (c command) besideEmpty(b *testing.B, args ...string) {
	if out := c.output(b, args...); strings.TrimSpace(out) != value() {
		b.Fatalf("%v prints %q", args, out)
	}
	paired.Run(b, 1, func(int) { c.run(b, "", c.empty) }, func(int) { c.run(b, "", args...) })
	c.report(b, args...)
}

// ageKey returns a file with an identity of age, and its recipient.
func (c command) ageKey(b *testing.B) (identity, recipient string) {
	b.Helper()
	key, err := age.GenerateX25519Identity()
	check(b, err)
	path := filepath.Join(c.dir, "age.key")
	check(b, os.WriteFile(path, []byte(key.String()+"\n"), 0o600))
	return path, key.Recipient().String()
}
