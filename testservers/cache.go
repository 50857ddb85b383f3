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
	"slices"
	"strings"
	"time"
)

// binary is a Go program that a server consists of.
type binary struct {
	name   string
	module string // folder with go.mod and go.sum, seen from testservers
	pkg    string // folder of the package, seen from module
	note   string // how long it takes to build

	sources []string // folders of further packages that it consists of, seen from module
}

// cache keeps what was built, in a folder named by a hash of all that made it.
type cache struct {
	dir string
	log io.Writer
}

// newCache is in the user's cache folder, or where NEBULA_TESTSERVER_CACHE says.
func newCache(log io.Writer) (*cache, error) {
	if dir := os.Getenv("NEBULA_TESTSERVER_CACHE"); dir != "" {
		absolute, err := filepath.Abs(dir)
		return &cache{dir: absolute, log: log}, err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	return &cache{dir: filepath.Join(dir, "nebula-testservers"), log: log}, nil
}

// flags are the same for everything, so that what one build compiled is of use
// to the next, and to vet.
func flags() []string { return []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"} }

func environment() []string { return append(os.Environ(), "CGO_ENABLED=0") }

// path is where the binary is or will be.
func (c *cache) path(ctx context.Context, b binary) (string, error) {
	if !exists(filepath.Join(b.module, "go.mod")) || !exists("server.go") {
		return "", errors.New("this is not the folder testservers: use go -C testservers run")
	}
	key, err := key(ctx, b)
	if err != nil {
		return "", err
	}
	name := b.name
	if strings.HasPrefix(key, "windows-") {
		name += ".exe"
	}
	return filepath.Join(c.dir, key, name), nil
}

// key hashes the Go version, the platform, the flags, the pins and the sources.
func key(ctx context.Context, b binary) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = b.module
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s%q\n", out, flags())
	var files []string
	for _, folder := range append([]string{b.pkg}, b.sources...) {
		found, err := filepath.Glob(filepath.Join(b.module, folder, "*.go"))
		if err != nil {
			return "", err
		}
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	files = append(files, filepath.Join(b.module, "go.mod"), filepath.Join(b.module, "go.sum"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		// A checkout on Windows may end its lines otherwise.
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		fmt.Fprintf(hash, "%s %d\n%s", filepath.ToSlash(file), len(data), data)
	}
	platform := strings.Fields(string(out))
	return platform[1] + "-" + platform[2] + "-" + hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// ensure builds the binary unless it is there. Of several processes that want
// it at once, one builds and the others wait.
func (c *cache) ensure(ctx context.Context, b binary) (string, error) {
	path, err := c.path(ctx, b)
	if err != nil || exists(path) {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Dir(path)+".lock")
	if err != nil {
		return "", fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	if exists(path) {
		return path, nil
	}
	return path, c.compile(ctx, b, path)
}

// compile builds beside the place and renames: what is there is always whole.
func (c *cache) compile(ctx context.Context, b binary, path string) error {
	fmt.Fprintf(c.log, "building %s, once (%s)\n", b.name, b.note)
	begin := time.Now()
	temporary := path + ".new"
	args := append([]string{"build"}, flags()...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", temporary, "./"+b.pkg)...)
	cmd.Dir, cmd.Env = b.module, environment()
	cmd.Stdout, cmd.Stderr = c.log, c.log
	// Interrupted, go ends its compilers; killed, it would leave them.
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("go build: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.log, "built %s in %s, %d MB\n", b.name, time.Since(begin).Round(time.Second), info.Size()/1e6)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
