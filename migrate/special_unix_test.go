//go:build unix

package migrate_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

// TestSpecialFiles: a file that is not regular is named, and neither followed nor waited
// for.
func TestSpecialFiles(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	good := newV1(testKey, []byte("value")).text()
	write(t, elsewhere, "target", good)
	write(t, dir, "good.cred", good)
	write(t, dir, "hidden.cred", good)
	for _, err := range []error{
		os.Symlink(filepath.Join(elsewhere, "target"), filepath.Join(dir, "link.cred")),
		os.Symlink("good.cred", filepath.Join(dir, "inside.cred")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling.cred")),
		unix.Mkfifo(filepath.Join(dir, "pipe.cred"), 0o600),
		os.Truncate(filepath.Join(dir, "hidden.cred"), 201<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]nebula.Kind{"link.cred": corrupted, "inside.cred": corrupted, "dangling.cred": corrupted,
		"pipe.cred": corrupted, "hidden.cred": nebula.ErrTooLarge}
	if os.Geteuid() != 0 {
		write(t, dir, "closed.cred", good)
		if err := os.Chmod(filepath.Join(dir, "closed.cred"), 0); err != nil {
			t.Fatal(err)
		}
		want["closed.cred"] = nebula.ErrPermissionDenied
	}
	s := newMemory(t, nil, nebula.Options{})
	report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || len(report.Migrated) != 1 || len(report.Left) != len(want) {
		t.Fatalf("%+v, %v", report, err)
	}
	for file, kind := range want {
		if kindsOf(report)[file] != kind {
			t.Errorf("%s: %q, want %q", file, kindsOf(report)[file], kind)
		}
	}
}
