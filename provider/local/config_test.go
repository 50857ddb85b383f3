package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

func TestDefaultConfig(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	want := local.Config{BasePath: filepath.Join(data, "nebula", "credentials"), CreateDir: true,
		FileExtension: "enc.json", EnableLocking: true}
	if got := local.DefaultConfig(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	if got := local.DefaultConfig().BasePath; strings.Contains(got, "relative") {
		t.Errorf("a relative XDG_DATA_HOME is obeyed: %s", got)
	}
}

// TestDefaultConfigInAnotherEnvironment: the environment of the process has no
// effect.
func TestDefaultConfigInAnotherEnvironment(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	data := t.TempDir()
	got := local.DefaultConfigIn(func(name string) string { return map[string]string{"XDG_DATA_HOME": data}[name] })
	if want := filepath.Join(data, "nebula", "credentials"); got.BasePath != want {
		t.Errorf("got %s, want %s", got.BasePath, want)
	}
	if got := local.DefaultConfigIn(func(string) string { return "" }); got.BasePath != "" {
		t.Errorf("without a home: %s", got.BasePath)
	}
}

func TestValidateReportsAll(t *testing.T) {
	err := local.Config{BasePath: "relative", FileExtension: "a/b"}.Validate()
	if !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Fatal(err)
	}
	for _, setting := range []string{"base_path", "file_extension"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("%q does not name %s", err, setting)
		}
	}
}

func TestValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	with := func(change func(*local.Config)) local.Config {
		c := config(absent)
		change(&c)
		return c
	}
	extension := func(s string) local.Config { return with(func(c *local.Config) { c.FileExtension = s }) }
	path := func(s string) local.Config { return with(func(c *local.Config) { c.BasePath = s }) }
	for _, bad := range []local.Config{
		path(""), path("relative"), path(file), path(absent + "\x00"), path(filepath.Join(file, "below")),
		with(func(c *local.Config) { c.CreateDir = false }),
		extension(""), extension("."), extension(".a"), extension("a."), extension("a/b"), extension(`a\b`),
		extension("a\x00"), extension("a\n"), extension("a\u0085"), extension("a:b"), extension("a "), extension("\xff"),
		extension(strings.Repeat("x", 127)),
	} {
		if err := bad.Validate(); !errors.Is(err, nebula.ErrInvalidConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, err := local.New(bad); err == nil {
			t.Errorf("New accepts %+v", bad)
		}
	}
	for _, good := range []local.Config{path(absent), path(t.TempDir()), extension("x"), extension("é"),
		extension(strings.Repeat("x", 126))} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	if _, err := os.Lstat(absent); err == nil {
		t.Error("validating made the directory")
	}
}

func TestLongestNames(t *testing.T) {
	s := newStore(t, func(c *local.Config) { c.FileExtension = strings.Repeat("x", 126) })
	id := strings.Repeat("i", nebula.MaxIDLength)
	s.holds(id, s.put(id, "v"))
}
