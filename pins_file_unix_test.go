//go:build unix

package nebula_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Anyone who can write the pins decides which key is trusted.
func TestPinFileThatOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	f := pinFile(dir)
	if err := f.Update("a", setPin(nebula.Pin{Generation: 1})); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "known_stores"), 0o622); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Load("a"); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a file that others may write gave %v", err)
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "known_stores"), 0o600), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Load("a"); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a directory that others may write gave %v", err)
	}
}
