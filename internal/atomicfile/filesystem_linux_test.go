package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsSince(t *testing.T) {
	for release, want := range map[string]bool{
		"5.8.0": true, "5.8": true, "5.10.0-28-amd64": true, "6.1.0": true, "10.0-rc1": true,
		"5.7.19": false, "4.19.0": false, "3.10.0-1160.el7": false, "4.4.0": false,
		"": false, "6": false, "x.y": false,
	} {
		if got := isSince(release, 5, 8); got != want {
			t.Errorf("%q is since 5.8: %v", release, got)
		}
	}
}

// TestOpenFileSystem: a file system is flushed as a whole only if the flush reports
// what could not be written. An overlay does not report it, and procfs is not a known
// file system.
func TestOpenFileSystem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	base := t.TempDir()
	mount := func(fstype, dir, options string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", dir, fstype, 0, options); err != nil {
			t.Skipf("needs the right to mount %s: %v", fstype, err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	}
	below, overlay := filepath.Join(base, "tmpfs"), filepath.Join(base, "overlay")
	mount("tmpfs", below, "size=1m")
	for _, dir := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(below, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mount("overlay", overlay, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", below))
	for path, want := range map[string]bool{below: reportsErrors(), overlay: false, "/proc": false} {
		d, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		fs, ok := d.openFileSystem()
		if ok != want {
			t.Errorf("%s is flushed as a whole: %v", path, ok)
		}
		if ok {
			if !fs.flush() {
				t.Errorf("%s was not flushed", path)
			}
			fs.close()
		}
	}
}
