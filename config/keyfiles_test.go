package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func newKeyFile(t *testing.T) (path, line string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(text)
}

// The variable's key files replace those of the configuration file.
func TestSeveralKeyFiles(t *testing.T) {
	join := func(paths ...string) string { return strings.Join(paths, string(os.PathListSeparator)) }
	here, err := filepath.Abs("b")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.VolumeName(here) + string(filepath.Separator)
	a, c := filepath.Join(root, "a"), filepath.Join(root, "c")
	for _, test := range []struct {
		text    string
		environ []string
		want    []string
	}{
		{text: "[key]\nfile = '" + a + "'\nfiles = ['" + c + "', '" + a + "']", want: []string{a, c}},
		{text: "[key]\nfiles = ['" + c + "']", want: []string{c}},
		{text: "[key]\nfiles = ['" + c + "']", environ: []string{"NEBULA_KEY_FILE=" + a}, want: []string{a}},
		{environ: []string{"NEBULA_KEY_FILE=" + join(a, "b", c)}, want: []string{a, here, c}},
	} {
		conf, err := load(t, "[storage]\nprovider = \"memory\"\n"+test.text, test.environ...)
		if err != nil {
			t.Errorf("%v: %v", test, err)
			continue
		}
		s, err := conf.Open(t.Context(), "", OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, isDefault := s.Keys.Files(); !slices.Equal(got, test.want) || isDefault {
			t.Errorf("%v: %v", test, got)
		}
	}
	if _, err := load(t, "", "NEBULA_KEY_FILE="+join(a, "")); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("an empty path among several: %v", err)
	}
}

// If a key file opens a store, its line in a variable opens it, too.
func TestKeyInAVariable(t *testing.T) {
	path, line := newKeyFile(t)
	text := "[storage.local]\nbase_path = \"HOME/s\""
	home := t.TempDir()
	opened := func(environ ...string) *Opened {
		t.Helper()
		file := filepath.Join(home, "c.toml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "HOME", filepath.ToSlash(home))), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Source{File: file, Environ: append(environ, "HOME="+home, "USERPROFILE="+home)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Open(t.Context(), "", OpenOptions{Tell: func(string) {}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, err := opened("NEBULA_KEY=" + line).Keys.First(t.Context())
	if err != nil || first.Variable != envKey || first.File != "" {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := opened("NEBULA_KEY="+line, "NEBULA_KEY_FILE="+path).Keys.First(t.Context()); !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("two keys to choose from for a new store: %v", err)
	}
	if _, err := opened("NEBULA_KEY="+line).Put(t.Context(), "a", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"NEBULA_KEY=" + line, "NEBULA_KEY=" + strings.TrimSpace(line) + "\r\n", "NEBULA_KEY_FILE=" + path} {
		if _, err := opened(name).Get(t.Context(), "a"); err != nil {
			t.Errorf("%.15s: %v", name, err)
		}
	}
	if got := Secrets([]string{"NEBULA_KEY=x"}); !slices.Equal(got, []string{"NEBULA_KEY"}) {
		t.Errorf("doctor names %v", got)
	}
}
