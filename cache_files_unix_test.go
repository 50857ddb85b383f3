//go:build unix

package nebula_test

import (
	"io/fs"
	"os"
	"testing"
)

func wantMode(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
		t.Errorf("%s: mode %v, %v; want %v", path, info.Mode().Perm(), err, mode)
	}
}
