package installed_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/installed"
)

func TestDirIsBuiltOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "list"), []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	built := 0
	build := func(dir string) error {
		built++
		text, err := os.ReadFile(filepath.Join(dir, "list"))
		return errors.Join(err, os.WriteFile(filepath.Join(dir, "made"), text, 0o600))
	}
	get := func() string {
		t.Helper()
		dir, err := installed.Dir("tests", "thing", from, []string{"list"}, build)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "made"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for range 2 {
		if got := get(); got != "one" || built != 1 {
			t.Errorf("the folder has %q, built %d times", got, built)
		}
	}
	if err := os.WriteFile(filepath.Join(from, "list"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if get() != "two" || built != 2 {
		t.Errorf("after a change of the list it was built %d times", built)
	}
	failure := errors.New("no network")
	for range 2 {
		_, err := installed.Dir("tests", "other", from, []string{"list"}, func(string) error { return failure })
		if !errors.Is(err, failure) {
			t.Errorf("a build that failed gives %v", err)
		}
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	if err := installed.Run(t.TempDir(), "go", "version"); err != nil {
		t.Error(err)
	}
	if err := installed.Run(t.TempDir(), "go", "no-such-command"); err == nil {
		t.Error("Run returned no error for a program that failed")
	}
}
