//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestDenial(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key")
	denied := &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}
	fact, fix := Denial(path, denied)
	if fact != dir+" has mode 0700" || fix != RestrictDir(dir) {
		t.Errorf("%q, %q", fact, fix)
	}
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	fact, fix = Denial(path, denied)
	if fact != path+" has mode 0000" || fix != Restrict(path) {
		t.Errorf("%q, %q", fact, fix)
	}
	if fact, fix = Denial(path, &fs.PathError{Op: "open", Path: path, Err: syscall.EIO}); fact != "" || fix != "" {
		t.Errorf("%q, %q", fact, fix)
	}
}

// If a file belongs to somebody else, nobody is told to change its modes, though root
// is trusted.
func TestOtherOwner(t *testing.T) {
	other := "/"
	if os.Geteuid() == 0 { // root may change every mode
		if owner := OtherOwner(other); owner != "" {
			t.Errorf("%q", owner)
		}
		return
	}
	if owner := OtherOwner(other); owner != "it belongs to the user of number 0" {
		t.Errorf("%q", owner)
	}
	if fact, fix := Denial(other, syscall.EACCES); fact == "" || fix != "run it as that user, or get access to /" {
		t.Errorf("%q, %q", fact, fix)
	}
}
