package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	parent := t.TempDir()
	gone := exec.Command(os.Args[0], "-test.run=^$")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(parent, filesPrefix+strconv.Itoa(gone.Process.Pid)+"-ABC")
	others := filepath.Join(parent, filesPrefix+"x")
	alive := filepath.Join(parent, filesPrefix+strconv.Itoa(os.Getpid())+"-ABC")
	for _, dir := range []string{left, others, alive} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewFiles(parent)
	if err != nil {
		t.Fatal(err)
	}
	path, err := f.Add("KEY", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		if info, err := os.Stat(path); err != nil || filepath.Separator == '/' && info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "value" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the files of a killed process are still there: %v", err)
	}
	for _, dir := range []string{others, alive} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("the files are still there: %v", err)
	}
	f, err = NewFiles(parent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add("text", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	dir, err := f.Keep()
	if err != nil || strings.HasPrefix(filepath.Base(dir), filesPrefix) || f.Remove() != nil {
		t.Errorf("kept in %s, %v", dir, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "text")); err != nil || string(data) != "kept" {
		t.Errorf("%q, %v", data, err)
	}
	if err := (*Files)(nil).Remove(); err != nil {
		t.Error(err)
	}
}

func TestIsObeyed(t *testing.T) {
	for name, want := range map[string]bool{"LD_PRELOAD": true, "ld_library_path": true, "PATH": true, "BASH_ENV": true, "NODE_OPTIONS": true,
		"PYTHONPATH": true, "NEBULA_KEY_ID": true, "DYLD_INSERT_LIBRARIES": true, "GIT_SSH_COMMAND": true,
		"DB_PASSWORD": false, "GITHUB_TOKEN": false, "AWS_SECRET_ACCESS_KEY": false, "": false} {
		if got := IsObeyed(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for _, name := range obeyedNames() {
		if name != strings.ToUpper(name) {
			t.Errorf("%s can never match", name)
		}
	}
}
