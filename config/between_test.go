package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Each side is the name of a store, or a provider within [storage].
func TestOpenBetween(t *testing.T) {
	dir := t.TempDir()
	text := "[storage]\nprovider = \"memory\"\n[storage.local]\nbase_path = " + strconv.Quote(filepath.Join(dir, "a")) +
		"\n[storage.vault]\naddress = \"ftp://nowhere\"\n[stores.work.local]\nbase_path = " + strconv.Quote(filepath.Join(dir, "b"))
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, sides := range [][2]string{{"default", "local"}, {"local", "work"}, {"memory", "work"}, {"", "local"}} {
		a, b, err := c.OpenBetween(t.Context(), sides[0], sides[1], OpenOptions{})
		if err != nil {
			t.Fatal(sides, err)
		}
		if a.Name != orDefault(sides[0]) || b.Name != sides[1] {
			t.Error(a.Name, b.Name)
		}
		want := map[string]string{"default": "memory", "": "memory", "memory": "memory", "local": "local", "work": "local"}
		if a.Describe().Provider != want[sides[0]] || b.Describe().Provider != want[sides[1]] {
			t.Errorf("%v: %s, %s", sides, a.Describe().Provider, b.Describe().Provider)
		}
		// With one [key] both have the same keys, which keep what a person has typed.
		shared := len(a.keys) > 0 && len(b.keys) > 0 && a.keys[len(a.keys)-1] == b.keys[len(b.keys)-1]
		if shared != (sides[1] == "local") {
			t.Errorf("%v: shared keys: %v", sides, shared)
		}
		_, _ = a.Close(), b.Close()
	}
	if path := filepath.Join(dir, "a"); !strings.HasPrefix(mustOpen(t, c, "default", "local").Describe().Address, path) {
		t.Error("the store is not in the directory of [storage.local]")
	}
	_, _, err = c.OpenBetween(t.Context(), "default", "locl", OpenOptions{})
	if nebula.KindOf(err) != nebula.ErrUsage || !strings.Contains(err.Error(), "local") {
		t.Error(err)
	}
	// No other command accepts a provider as a store.
	if _, err := c.Open(t.Context(), "local", OpenOptions{}); nebula.KindOf(err) != nebula.ErrUsage {
		t.Error(err)
	}
}

func mustOpen(t *testing.T, c *Config, from, to string) *Opened {
	t.Helper()
	a, b, err := c.OpenBetween(t.Context(), from, to, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return b
}

// The settings that will be opened are checked when the configuration is read. An error
// names the section.
func TestLoadBetween(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte("[storage.vault]\naddress = \"ftp://nowhere\"\n[stores.work]\nprovider = \"vault\"\n[stores.work.vault]\naddress = \"ftp://here\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		between []string
		want    string
	}{{[]string{"local", "vault"}, "[storage.vault]"}, {[]string{"work", "default"}, "[stores.work.vault]"}, {[]string{"default", "local"}, ""}} {
		_, err := Load(Source{File: path, Environ: []string{"HOME=" + t.TempDir()}, Between: c.between})
		if got := err != nil; got != (c.want != "") || got && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.between, err)
		}
	}
}
