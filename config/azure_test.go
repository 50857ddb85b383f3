package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/azure"
)

// Azure's own variables are defaults: the file and NEBULA_ variables win.
func TestAzureVariables(t *testing.T) {
	const (
		file   = "[storage]\nprovider = \"azure\"\n"
		tenant = "11111111-2222-3333-4444-555555555555"
		client = "66666666-7777-8888-9999-000000000000"
	)
	native := []string{"AZURE_KEYVAULT_URL=https://native.vault.azure.net", "AZURE_TENANT_ID=" + tenant,
		"AZURE_CLIENT_ID=" + client, "AZURE_CLIENT_SECRET=canary"}
	for _, test := range []struct {
		text, key, value, source string
		environ                  []string
	}{
		{file, "storage.azure.vault_url", "https://native.vault.azure.net", "AZURE_KEYVAULT_URL", native},
		{file, "storage.azure.credential.tenant_id", tenant, "AZURE_TENANT_ID", native},
		{file, "storage.azure.credential.client_id", client, "AZURE_CLIENT_ID", native},
		{file + "[storage.azure]\nvault_url = \"https://file.vault.azure.net\"\n", "storage.azure.vault_url", "https://file.vault.azure.net", "", native},
		{file, "storage.azure.vault_url", "https://variable.vault.azure.net", "NEBULA_STORAGE_AZURE_VAULT_URL",
			append([]string{"NEBULA_STORAGE_AZURE_VAULT_URL=https://variable.vault.azure.net"}, native...)},
		{file, "storage.azure.credential.type", "service_principal", "NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE",
			append([]string{"NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE=service_principal"}, native...)},
	} {
		c, err := load(t, test.text, test.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if test.source == "" {
			test.source = c.Path
		}
		if s := setting(t, c, test.key); s.Value != test.value || s.Source != test.source {
			t.Errorf("%s is %v from %s, want %s from %s", test.key, s.Value, s.Source, test.value, test.source)
		}
		for _, s := range c.Settings() {
			if s.Value == "canary" {
				t.Errorf("%s shows the secret", s.Key)
			}
		}
	}
	c, err := load(t, file, native...)
	if err != nil {
		t.Fatal(err)
	}
	section := c.stores[DefaultStore].sections["azure"].(*azure.Config)
	if string(section.Credential.ClientSecret.Reveal()) != "canary" {
		t.Error("the secret of the environment is not used")
	}
}

// There is no default vault, and all problems are reported at once.
func TestAzureProblems(t *testing.T) {
	_, err := load(t, "[storage]\nprovider = \"azure\"\n[storage.azure]\ntimeout = \"2m\"\n[storage.azure.credential]\ntype = \"service_principal\"\nclient_id = \"me\"\n")
	if !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"[storage.azure]", "vault_url is not set", "timeout is 2m0s", "credential.tenant_id is not set",
		`credential.client_id "me" is not a GUID`, "client_secret_file is not set"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
