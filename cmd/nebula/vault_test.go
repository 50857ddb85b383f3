package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The command on a real Vault, in a mount of its own.
func TestLiveScriptsVault(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "live", "vault"), onVault(t))
}

func onVault(t *testing.T) func(*testscript.Env) {
	s := livetest.Vault(t)
	return func(env *testscript.Env) {
		env.Setenv("NEBULA_STORAGE_PROVIDER", "vault")
		env.Setenv("NEBULA_STORAGE_VAULT_MOUNT_PATH", s.Mount(t, 2))
		env.Setenv("VAULT_ADDR", s.Address)
		env.Setenv("VAULT_TOKEN", s.RootToken)
		if s.CAFile != "" {
			env.Setenv("NEBULA_STORAGE_VAULT_CA_CERT", s.CAFile)
		}
	}
}
