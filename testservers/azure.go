package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// azureServer is Nebula's own Key Vault server for tests. Microsoft has none to run.
type azureServer struct{}

func (azureServer) name() string { return "azure" }

func (azureServer) binaries() []binary {
	return []binary{{name: "azure", module: "..", pkg: "internal/testing/azureserver/cmd/keyvault",
		sources: []string{"internal/testing/azureserver"}, note: "some seconds"}}
}

func (a azureServer) start(ctx context.Context, s *session) ([]variable, error) {
	path, err := s.tools.ensure(ctx, a.binaries()[0])
	if err != nil {
		return nil, err
	}
	line, err := s.startAndReadLine(ctx, "azure", path, "-ca", filepath.Join(s.dir, "azure-ca.pem"))
	if err != nil {
		return nil, err
	}
	var ready struct {
		VaultURL         string `json:"vault_url"`
		KeyURL           string `json:"key_url"`
		Proxy            string `json:"proxy"`
		CAFile           string `json:"ca_file"`
		TenantID         string `json:"tenant_id"`
		ClientID         string `json:"client_id"`
		ClientSecret     string `json:"client_secret"`
		IdentityEndpoint string `json:"identity_endpoint"`
		IdentityHeader   string `json:"identity_header"`
		UserIdentity     string `json:"user_identity"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return nil, fmt.Errorf("what it printed: %w", err)
	}
	return []variable{
		// These lead a process here from the real addresses.
		{"HTTPS_PROXY", ready.Proxy},
		{"SSL_CERT_FILE", ready.CAFile},
		{"AZURE_TENANT_ID", ready.TenantID},
		{"AZURE_CLIENT_ID", ready.ClientID},
		{"AZURE_CLIENT_SECRET", ready.ClientSecret},
		{"NEBULA_STORAGE_AZURE_VAULT_URL", ready.VaultURL},
		{"NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE", "service_principal"},
		// For a managed identity, with NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE=managed_identity.
		{"IDENTITY_ENDPOINT", ready.IdentityEndpoint},
		{"IDENTITY_HEADER", ready.IdentityHeader},
		{"NEBULA_TESTSERVER_AZURE_USER_IDENTITY", ready.UserIdentity},
		// For NEBULA_KEY_AZURE_KEY_URL, or --azure-key.
		{"NEBULA_TESTSERVER_AZURE_KEY_URL", ready.KeyURL},
	}, nil
}
