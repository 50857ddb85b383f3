package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// vaultServer is HashiCorp Vault itself, built from its Go module: see vault/.
type vaultServer struct{}

func (vaultServer) name() string { return "vault" }

func (vaultServer) binaries() []binary {
	return []binary{{name: "vault", module: ".", pkg: "vault", note: "about 6 minutes on 2 cores at first"}}
}

func (v vaultServer) start(ctx context.Context, s *session) ([]variable, error) {
	path, err := s.tools.ensure(ctx, v.binaries()[0])
	if err != nil {
		return nil, err
	}
	line, err := s.startAndReadLine(ctx, "vault", path)
	if err != nil {
		return nil, err
	}
	var ready struct {
		Address   string `json:"address"`
		RootToken string `json:"root_token"`
		UnsealKey string `json:"unseal_key"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return nil, fmt.Errorf("what it printed: %w", err)
	}
	return []variable{
		// Nebula and Vault's own tools read these.
		{"VAULT_ADDR", ready.Address},
		{"VAULT_TOKEN", ready.RootToken},
		// With these, the live tests start no server of their own.
		{"NEBULA_TEST_VAULT_ADDR", ready.Address},
		{"NEBULA_TEST_VAULT_TOKEN", ready.RootToken},
		{"NEBULA_TESTSERVER_VAULT_UNSEAL_KEY", ready.UnsealKey},
	}, nil
}
