package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Windows, too, refuses a configuration file that others may write.
func TestFileThatOthersMayWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	everyone := func(rights string) {
		t.Helper()
		// *S-1-1-0 is everyone, in every language.
		if out, err := exec.Command("icacls", path, "/inheritance:r", "/grant:r", os.Getenv("USERNAME")+":F", "*S-1-1-0:"+rights).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	everyone("R")
	if _, err := Load(Source{File: path, Environ: []string{`USERPROFILE=C:\nowhere`}}); err != nil {
		t.Errorf("others may read it: %v", err)
	}
	everyone("M")
	_, err := Load(Source{File: path, Environ: []string{`USERPROFILE=C:\nowhere`}})
	if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "everyone may read and write it") {
		t.Errorf("others may write it: %v", err)
	}
}
