//go:build unix

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestFileThatOthersMayWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o664: false, 0o646: false, 0o400: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Source{File: path, Environ: []string{"HOME=/nowhere"}, Store: ""})
		if ok != (err == nil) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if !ok && (!errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "chmod go-w "+path)) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestFileOfAnotherOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Skip("needs root to give a file away")
	}
	if _, err := Load(Source{File: path, Environ: []string{"HOME=/nowhere"}}); err == nil || !strings.Contains(err.Error(), "belongs to the user of number 12345") {
		t.Errorf("got %v", err)
	}
}

func TestFileThatIsAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Source{File: path}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
