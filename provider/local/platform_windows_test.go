package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/nebula-credential/nebula"
)

// holdLock holds the store's lock as another process would.
func holdLock(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, new(windows.Overlapped)); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// share gives everybody rights to a file or directory.
func share(t *testing.T, path, rights string) {
	t.Helper()
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;;" + rights + ";;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := sd.DACL()
	if err != nil {
		t.Fatal(err)
	}
	const parts = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, parts, nil, nil, list, nil); err != nil {
		t.Fatal(err)
	}
}

// TestUnsafeDirectories: a directory that everybody may write is refused. Doctor says
// why, and names the command that mends it.
func TestUnsafeDirectories(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	said := func(p nebula.Checker) string {
		text := ""
		for _, f := range p.Check(t.Context()) {
			if f.Severity != nebula.SeverityOK {
				text += f.Message + "\n" + f.Fix + "\n"
			}
		}
		return text
	}
	share(t, s.path("id"), "FR")
	if text := said(s); !strings.Contains(text, "id.enc.json") || !strings.Contains(text, "icacls") {
		t.Errorf("a file that everybody may read: %s", text)
	}
	share(t, s.dir, "FA")
	p := newProvider(t, s.dir)
	fails(t, p.Connect(t.Context()), nebula.ErrInvalidConfig, "connect", "everyone may read and write", "icacls")
	if text := said(p); !strings.Contains(text, "everyone may read and write") || !strings.Contains(text, "icacls") {
		t.Errorf("a directory that everybody may write: %s", text)
	}
}
