// Package installed keeps programs that package managers install, and that tests run
// beside the product, in the user's cache.
package installed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Dir returns a folder of the user's cache with copies of these files of the folder
// from, in which build has run once. If a file changes, the folder is another one. If
// several processes build at once, the folder of the first stays.
func Dir(cache, name, from string, files []string, build func(dir string) error) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	texts := make([][]byte, len(files))
	for i, file := range files {
		if texts[i], err = os.ReadFile(filepath.Join(from, file)); err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", file, len(texts[i]), texts[i])
	}
	dir := filepath.Join(base, cache, name+"-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), name)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	for i, file := range files {
		copied := filepath.Join(temporary, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(copied), 0o755), os.WriteFile(copied, texts[i], 0o644)); err != nil {
			return "", err
		}
	}
	if err := build(temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, dir); err != nil {
		if _, other := os.Stat(dir); other != nil {
			return "", err
		}
	}
	return dir, nil
}

// Run runs a program in a folder, for at most five minutes.
func Run(dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
