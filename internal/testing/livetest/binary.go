package livetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// errNoServer means that there is no program to start.
var errNoServer = errors.New("no server")

func required() bool { return os.Getenv("NEBULA_REQUIRE_LIVE") == "1" }

// check fails the test on an error. If there is no server, it skips the test, unless
// live tests are required.
func check(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errNoServer) && !required():
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// binaryOf returns the path of a server's program. It asks the module that builds the
// server: only that module knows the path.
func binaryOf(server string) (string, error) {
	module, err := moduleDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoServer, err)
	}
	path, err := ask(module, "where", server)
	if err == nil {
		return path, nil
	}
	if !required() {
		return "", fmt.Errorf("%w: %w", errNoServer, err)
	}
	return ask(module, "build", server)
}

// ask runs a command of testservers that prints a line "NAME PATH".
func ask(module, command, server string) (string, error) {
	cmd := exec.Command("go", "run", ".", command, server)
	cmd.Dir = module
	// Variables that are set for the tests must not reach go or the servers.
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=", "GODEBUG=", "GOWORK=off", "PWD="+module)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("testservers %s %s: %w: %s", command, server, err, bytes.TrimSpace(stderr.Bytes()))
	}
	for line := range strings.Lines(string(out)) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == server {
			return path, nil
		}
	}
	return "", fmt.Errorf("testservers %s %s printed %q", command, server, out)
}

// cacheDir returns the folder for the servers and for what scripts/test unpacks.
func cacheDir() (string, error) {
	if dir := os.Getenv("NEBULA_TESTSERVER_CACHE"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "nebula-testservers"), err
}

// moduleDir finds testservers/ from the folder of any package, because a test runs in
// the folder of its package.
func moduleDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		candidate := filepath.Join(dir, "testservers")
		if _, err := os.Stat(filepath.Join(candidate, "go.mod")); err == nil {
			return candidate, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no folder testservers above the test")
		}
		dir = parent
	}
}
