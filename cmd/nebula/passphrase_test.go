//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// passphraseWays are the ways to give a passphrase. Each adds a final newline.
var passphraseWays = []string{"variable", "file", "command", "prompt"}

const testPhrase = "correct horse battery"

// giving returns the environment for one of the ways, and whether a person types.
func giving(t *testing.T, way string) (env []string, typed bool) {
	t.Helper()
	switch way {
	case "variable":
		return []string{"NEBULA_PASSPHRASE=" + testPhrase + "\n"}, false
	case "file":
		path := filepath.Join(t.TempDir(), "phrase")
		if err := os.WriteFile(path, []byte(testPhrase+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"NEBULA_PASSPHRASE_FILE=" + path}, false
	case "command":
		return []string{`NEBULA_PASSPHRASE_COMMAND=child "` + testPhrase + `"`}, false
	}
	return nil, true
}

// A store that was made with a passphrase from one place opens with the same passphrase
// from any other.
func TestPassphraseFromEveryPlace(t *testing.T) {
	for _, made := range passphraseWays {
		t.Run(made, func(t *testing.T) {
			t.Parallel()
			base := home(t)
			env, typed := giving(t, made)
			p := sit(t, append(base, env...), nil, "init", "--passphrase", "--kdf", "pbkdf2-sha256")
			if typed {
				p.answer("New passphrase", testPhrase+"\n")
				p.answer("same again", testPhrase+"\n")
			}
			p.await("new store")
			p.leave(0)
			for _, opened := range passphraseWays {
				env, typed := giving(t, opened)
				p := sit(t, append(base, env...), func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token")
				if typed {
					p.answer("Passphrase for local", testPhrase+"\n")
				}
				p.leave(0)
			}
		})
	}
}

// A new passphrase from a variable loses its final newline, like one from a file.
func TestNewPassphraseFromEveryPlace(t *testing.T) {
	base := home(t)
	sit(t, base, nil, "init").leave(0)
	file := filepath.Join(t.TempDir(), "next")
	if err := os.WriteFile(file, []byte("another horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{"NEBULA_NEW_PASSPHRASE=" + testPhrase + "\n", "NEBULA_NEW_PASSPHRASE_FILE=" + file} {
		sit(t, append(base, env), nil, "key", "add", "--passphrase", "--kdf", "pbkdf2-sha256").leave(0)
	}
	for _, phrase := range []string{testPhrase, "another horse battery"} {
		env := append(base, "XDG_CONFIG_HOME="+t.TempDir(), "NEBULA_PASSPHRASE="+phrase)
		sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token").leave(0)
	}
}

// A person may try again. The error says how often they tried.
func TestWrongPassphraseAtThePrompt(t *testing.T) {
	env := home(t)
	sit(t, append(env, "NEBULA_PASSPHRASE="+testPhrase), nil, "init", "--passphrase", "--kdf", "pbkdf2-sha256").leave(0)
	store := func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }

	p := sit(t, env, store, "put", "token")
	p.answer("Passphrase for local", "wrong\n")
	p.answer("try 2 of 3", "wrong\n")
	p.answer("try 3 of 3", testPhrase+"\n")
	p.leave(0)

	p = sit(t, env, nil, "get", "token")
	p.answer("Passphrase for local", "wrong\n")
	p.answer("try 2 of 3", "wrong\n")
	p.answer("try 3 of 3", "wrong\n")
	p.await("the passphrase (try 3 of 3) opens no slot")
	p.leave(5)

	p = sit(t, append(env, "NEBULA_PASSPHRASE=not that one"), nil, "get", "token")
	p.await("the passphrase of NEBULA_PASSPHRASE opens no slot")
	p.leave(5)
}

// A command that is not UTF-8 is refused: the splitter would start another program.
func TestCommandThatIsNotUTF8(t *testing.T) {
	env := home(t)
	p := sit(t, append(env, "NEBULA_PASSPHRASE_COMMAND=child\xe9"), nil, "init", "--passphrase")
	p.await("it is not UTF-8")
	p.leave(2)
	sit(t, env, nil, "init").leave(0)
	sit(t, env, func(c *exec.Cmd) { c.Stdin = strings.NewReader("v") }, "put", "token").leave(0)
	p = sit(t, append(env, "VISUAL=true\xe9"), nil, "edit", "token", "--on-disk")
	p.await("VISUAL is no command")
	p.leave(2)
}
