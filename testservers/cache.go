package main

import (
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

// binary is a program that this module builds, in Go or in Python.
type binary struct {
	name   string
	module string // folder with go.mod and go.sum, from testservers
	pkg    string // folder of the package, from module
	others string // instead of pkg: import path of a program that the module requires
	python string // instead of these: folder with requirements.txt, and serve.py for a server
	note   string // how long it takes to build

	sources []string // folders of further packages that it consists of, from module
}

// cache keeps what was built. The name of its folder is a hash of all that made it.
type cache struct {
	dir string
	log io.Writer
}

// newCache returns a cache in the user's cache folder, or in NEBULA_TESTSERVER_CACHE.
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

// flags are the same for every build, so that the next build, and vet, can use what was
// compiled.
func flags() []string { return []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"} }

func environment() []string { return append(os.Environ(), "CGO_ENABLED=0") }

// path returns the path of the binary, built or not. For a Python program it is the
// interpreter of its environment.
func (c *cache) path(ctx context.Context, b binary) (string, error) {
	if !exists(filepath.Join(b.module, "go.mod")) || !exists("server.go") {
		return "", errors.New("this is not the folder testservers: use go -C testservers run")
	}
	if b.python != "" {
		key, err := pythonKey(ctx, b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", b.name, err)
		}
		return filepath.Join(c.dir, key, b.name, inEnvironment()), nil
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
		if err := hashFile(hash, file); err != nil {
			return "", err
		}
	}
	platform := strings.Fields(string(out))
	return platform[1] + "-" + platform[2] + "-" + hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// ensure builds the binary unless it is there. If several processes want it at once, one
// builds and the others wait.
func (c *cache) ensure(ctx context.Context, b binary) (string, error) {
	path, err := c.path(ctx, b)
	if err != nil || exists(path) {
		return path, err
	}
	// The file, or the folder of the environment.
	made := path
	if b.python != "" {
		made = filepath.Dir(filepath.Dir(path))
	}
	if err := os.MkdirAll(filepath.Dir(made), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Dir(made)+".lock")
	if err != nil {
		return "", fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	if exists(path) {
		return path, nil
	}
	return path, c.make(ctx, b, made)
}

// make builds beside the place and renames, so that the place never holds half a build.
func (c *cache) make(ctx context.Context, b binary, place string) error {
	fmt.Fprintf(c.log, "building %s, once (%s)\n", b.name, b.note)
	begin := time.Now()
	temporary := place + ".new"
	// An interrupted build may have left something.
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	build := c.compile
	if b.python != "" {
		build = c.install
	}
	if err := build(ctx, b, temporary); err != nil {
		_ = os.RemoveAll(temporary)
		return err
	}
	if err := os.RemoveAll(place); err != nil {
		return err
	}
	if err := os.Rename(temporary, place); err != nil {
		return err
	}
	fmt.Fprintf(c.log, "built %s in %s, %d MB\n", b.name, time.Since(begin).Round(time.Second), size(place)/1e6)
	return nil
}

func (c *cache) compile(ctx context.Context, b binary, file string) error {
	args := append([]string{"build"}, flags()...)
	pkg := "./" + b.pkg
	if b.others != "" {
		pkg = b.others
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", file, pkg)...)
	cmd.Dir, cmd.Env = b.module, environment()
	if err := c.run(cmd); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// run runs a tool. At the end of the context it interrupts the tool, so that this ends the
// processes that it started.
func (c *cache) run(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = 10 * time.Second
	return cmd.Run()
}

// size returns the size of a file, or of all files in a folder.
func size(path string) int64 {
	var total int64
	_ = filepath.WalkDir(path, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
