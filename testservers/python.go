package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// A Python program is a folder with requirements.txt, which pins all packages by hash. A
// server also has serve.py. The cache keeps a virtual environment with a copy of serve.py.

// errNoPython says what is needed.
var errNoPython = errors.New("needs Python 3.11 or later with the modules venv and ensurepip (Debian: apt-get install python3-venv)")

// findPython returns the interpreter that makes environments.
func findPython() (string, error) {
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no python3: it %w", errNoPython)
}

// inEnvironment returns the path of the interpreter within a virtual environment.
func inEnvironment() string {
	if runtime.GOOS == "windows" {
		return filepath.Join("Scripts", "python.exe")
	}
	return filepath.Join("bin", "python")
}

// pythonKey hashes the interpreter, the pins and the script.
func pythonKey(ctx context.Context, b binary) (string, error) {
	python, err := findPython()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	version, err := exec.CommandContext(ctx, python, "-I", "-c", "import sys; print(sys.version, sys.base_prefix)").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", python, err)
	}
	_, _ = hash.Write(version)
	for _, file := range []string{"requirements.txt", "serve.py"} {
		if err := hashFile(hash, filepath.Join(b.python, file)); err != nil && !(errors.Is(err, os.ErrNotExist) && file == "serve.py") {
			return "", err
		}
	}
	return runtime.GOOS + "-" + runtime.GOARCH + "-" + hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// hashFile hashes the lines of a file, whatever line endings a checkout gives it.
func hashFile(w io.Writer, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	_, err = fmt.Fprintf(w, "%s %d\n%s", filepath.ToSlash(file), len(data), data)
	return err
}

// install makes the environment in a folder that does not exist yet, with the pinned
// packages and nothing else.
func (c *cache) install(ctx context.Context, b binary, folder string) error {
	python, err := findPython()
	if err != nil {
		return err
	}
	check := "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
	if exec.CommandContext(ctx, python, "-I", "-c", check).Run() != nil {
		return fmt.Errorf("%s is not enough: it %w", python, errNoPython)
	}
	if err := c.run(exec.CommandContext(ctx, python, "-I", "-m", "venv", folder)); err != nil {
		return fmt.Errorf("venv: %w", err)
	}
	pip := exec.CommandContext(ctx, filepath.Join(folder, inEnvironment()), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-input", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r", filepath.Join(b.python, "requirements.txt"))
	if err := c.run(pip); err != nil {
		return fmt.Errorf("pip install: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(b.python, "serve.py"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "serve.py"), data, 0o644)
}
