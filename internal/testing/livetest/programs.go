package livetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Programs returns a folder for PATH with the programs that open what others encrypted:
// pass, sops and ansible-vault. pass needs gpg, which must be in PATH itself.
func Programs(t testing.TB) string {
	t.Helper()
	dir, pass, sops := t.TempDir(), Pass(t), Sops(t)
	python, err := binaryOf("ansible")
	check(t, err)
	shim := fmt.Sprintf("#!/bin/sh\nexec '%s' -I -m ansible.cli.vault \"$@\"\n", python)
	err = errors.Join(os.Symlink(pass, filepath.Join(dir, "pass")), os.Symlink(sops, filepath.Join(dir, "sops")),
		os.WriteFile(filepath.Join(dir, "ansible-vault"), []byte(shim), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Pass returns the path of pass, which needs gpg in PATH.
func Pass(t testing.TB) string {
	t.Helper()
	path, err := findPass()
	check(t, err)
	return path
}

// Sops returns the path of sops.
func Sops(t testing.TB) string {
	t.Helper()
	path, err := binaryOf("sops")
	check(t, err)
	return path
}

// findPass returns the pass in PATH, or the one from Debian's package that scripts/test
// unpacks in the servers' cache.
func findPass() (string, error) {
	if _, err := exec.LookPath("gpg"); err != nil {
		return "", fmt.Errorf("%w: there is no gpg (Debian: apt-get install gnupg)", errNoServer)
	}
	if pass, err := exec.LookPath("pass"); err == nil {
		return pass, nil
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	pass := filepath.Join(dir, "pass", "usr", "bin", "pass")
	if _, err := os.Stat(pass); err != nil {
		return "", fmt.Errorf("%w: there is no pass (Debian: apt-get install pass, or scripts/test live)", errNoServer)
	}
	return pass, nil
}
