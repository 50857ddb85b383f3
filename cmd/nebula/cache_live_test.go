//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The cache on disk, with a real Vault that can become unreachable: while a file named
// away exists, connections to it end at once.
func TestLiveScriptsCache(t *testing.T) {
	onVault := onVault(t)
	runScripts(t, filepath.Join("testdata", "live", "cache"), func(env *testscript.Env) {
		onVault(env)
		away := func() bool {
			_, err := os.Stat(filepath.Join(env.WorkDir, "away"))
			return err == nil
		}
		scheme, server, _ := strings.Cut(env.Getenv("VAULT_ADDR"), "://")
		env.Setenv("VAULT_ADDR", scheme+"://"+forwardUnless(t, server, away))
		env.Setenv("NEBULA_STORAGE_VAULT_RETRY_MAX_RETRIES", "0")
		env.Setenv("NEBULA_STORAGE_CACHE_LAST_KNOWN", "1h")
		env.Setenv("NEBULA_STORAGE_CACHE_ON_DISK", "true")
	})
}
