package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// TestOwnerOnly: what we make gives rights to the user and the system alone,
// and inherits nothing.
func TestOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "too", "key")
	if err := Create(path, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	d, err := Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := d.Stage([]byte("staged"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	lock := NewLock(".lock")
	defer lock.Close()
	if err := lock.Lock(t.Context(), nil, d); err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
	for _, name := range []string{path, s.path(), d.join(".lock"), d.Path(), filepath.Dir(d.Path())} {
		stat, err := StatPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if stat.TooWide()+stat.Writable()+stat.ForeignOwner() != "" {
			t.Errorf("%s: %q, %q", name, stat.TooWide(), stat.ForeignOwner())
		}
	}
}

// TestOwnerOnlyDescriptor checks the descriptor that we pass to the system.
func TestOwnerOnlyDescriptor(t *testing.T) {
	user, err := currentUser()
	if err != nil {
		t.Fatal(err)
	}
	for directory, want := range map[bool]uint8{
		false: 0, true: windows.OBJECT_INHERIT_ACE | windows.CONTAINER_INHERIT_ACE,
	} {
		attributes, err := ownerOnly(directory)
		if err != nil {
			t.Fatal(err)
		}
		sd := attributes.SecurityDescriptor
		control, _, err := sd.Control()
		if err != nil || control&windows.SE_DACL_PROTECTED == 0 {
			t.Errorf("directory %v: not protected, %v", directory, err)
		}
		list, _, err := sd.DACL()
		if err != nil || list.AceCount != 2 {
			t.Fatalf("directory %v: %v, %v", directory, list, err)
		}
		for i := range uint32(2) {
			var entry *windows.ACCESS_ALLOWED_ACE
			if err := windows.GetAce(list, i, &entry); err != nil {
				t.Fatal(err)
			}
			if entry.Header.AceFlags != want || !isTrusted(sidOf(entry), user) {
				t.Errorf("directory %v, entry %d: %+v", directory, i, entry)
			}
		}
	}
}

// TestAccessLists reads lists that were given to a file.
func TestAccessLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "file")
	if err := Create(path, nil); err != nil {
		t.Fatal(err)
	}
	user, err := currentUser()
	if err != nil {
		t.Fatal(err)
	}
	owner := "(A;;FA;;;" + user.String() + ")"
	for _, test := range []struct{ list, all, write string }{
		{owner, "", ""},
		{owner + "(A;;FA;;;BA)", "", ""},
		{owner + "(A;;FR;;;WD)", "access list: everyone may read it", ""},
		{owner + "(A;;FA;;;WD)", "access list: everyone may read and write it", "access list: everyone may read and write it"},
		{owner + "(A;;FX;;;WD)", "", ""},
	} {
		sd, err := windows.SecurityDescriptorFromString("D:P" + test.list)
		if err != nil {
			t.Fatal(err)
		}
		var g granted
		list, _, err := sd.DACL()
		if err == nil {
			err = g.addList(list, user, user)
		}
		if err != nil || g.all != test.all || g.write != test.write {
			t.Errorf("%s: %+v, %v", test.list, g, err)
		}
		const parts = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
		if err := windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, parts, nil, nil, list, nil); err != nil {
			t.Fatal(err)
		}
		if stat, err := StatPath(path); err != nil || stat.TooWide() != test.all || stat.Writable() != test.write {
			t.Errorf("a file with %s: %q, %q, %v", test.list, stat.TooWide(), stat.Writable(), err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if wide, err := TooWideFile(f, false); wide != test.all || err != nil {
			t.Errorf("a file with %s: %q, %v", test.list, wide, err)
		}
		f.Close()
	}
}

// TestReplacingAnOpenFile: Commit waits until another process has read the file. If
// that takes too long, its error names the reason, and is transient.
func TestReplacingAnOpenFile(t *testing.T) {
	d := open(t)
	if err := os.WriteFile(d.join("file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	stage := func() *Staged {
		s, err := d.Stage([]byte("new"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reader, err := d.root.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	err = stage().Commit("file")
	if err != nil && (!errors.Is(err, windows.ERROR_SHARING_VIOLATION) || !IsTransient(err)) {
		t.Errorf("while it is read: %v", err)
	}
	alone(t, d.Path(), "file")
	time.AfterFunc(50*time.Millisecond, func() { _ = reader.Close() })
	if err := stage().Commit("file"); err != nil {
		t.Errorf("after the reader ended: %v", err)
	}
	if data, _, err := d.Read("file", 10); string(data) != "new" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := d.Lstat("none"); !strings.Contains(err.Error(), d.join("none")) {
		t.Errorf("%v does not name the path", err)
	}
}
