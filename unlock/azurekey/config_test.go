package azurekey_test

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/azurekey"
)

const someGUID = "01234567-89ab-CDEF-0123-456789abcdef"

func TestConfigReportsEverything(t *testing.T) {
	c := azurekey.Config{URL: "http://team.vault.azure.net/keys/k", Also: []string{"https://team.vault.azure.net/secrets/k", "https://u:pw@team.vault.azure.net/keys/k"},
		Credential: azurekey.Credential{Type: "service_principal", TenantID: "team.onmicrosoft.com"}}
	_, err := azurekey.New(c)
	wantKind(t, err, nebula.ErrInvalidConfig, "url must begin with https://", "also (1) must have the form", "also (2) holds a user",
		"credential.tenant_id", "is not a GUID", "credential.client_id is not set", "credential.client_secret_file is not set")
	if err != nil && strings.Contains(err.Error(), "pw") {
		t.Errorf("the error shows a password: %v", err)
	}
	wantKind(t, azurekey.Config{Also: []string{"https://team.vault.azure.net/keys/k"}}.Validate(), nebula.ErrInvalidConfig, "url is not set")
	if err := (azurekey.Config{Credential: azurekey.Credential{ClientID: "of another program"}}).Validate(); err != nil {
		t.Errorf("without a key: %v", err)
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://team.vault.azure.net/keys/k", "HTTPS://Team.Vault.Azure.NET:443/keys/K-1/", "https://team.vault.usgovcloudapi.net/keys/" + strings.Repeat("x", 127)} {
		if err := azurekey.CheckURL(good); err != nil {
			t.Error(err)
		}
	}
	for text, want := range map[string]string{
		"":                                     "",
		"team/k":                               "",
		"https://team.vault.azure.net":         "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net/keys":    "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net/keys//":  "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net/keys/a_": "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net/keys/" + strings.Repeat("x", 128):  "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net/keys/k/" + strings.Repeat("0", 32): "names a version",
		"https://team.vault.azure.net/keys/k/v/x":                        "must have the form https://NAME.vault.azure.net/keys/KEY",
		"https://team.vault.azure.net:8443/keys/k":                       "has a port",
		"https://team.vault.azure.net.evil.example/keys/k":               "must be one of https://NAME.vault.azure.net",
		"https://127.0.0.1/keys/k":                                       "must be one of https://NAME.vault.azure.net",
		"https://hsm.managedhsm.azure.net/keys/k":                        "must be one of https://NAME.vault.azure.net",
		"https://team.vault.azure.net/keys/k?api-version=7.4":            "query",
	} {
		wantKind(t, azurekey.CheckURL(text), nebula.ErrUsage, want)
	}
}

// The environment gives the same identity as to the provider.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{"AZURE_TENANT_ID": someGUID, "AZURE_CLIENT_ID": someGUID, "AZURE_CLIENT_SECRET": "canary", "AZURE_FEDERATED_TOKEN_FILE": "/token"} {
		t.Setenv(name, value)
	}
	c := azurekey.DefaultConfig().Credential
	if c.Type != "managed_identity" || c.TenantID != someGUID || c.ClientID != someGUID || string(c.ClientSecret.Reveal()) != "canary" || c.FederatedTokenFile != "/token" {
		t.Errorf("%+v", c)
	}
}

// FuzzURL: an address that is accepted leads to a host of Azure.
func FuzzURL(f *testing.F) {
	seeds := []string{"https://team.vault.azure.net/keys/k", "https://.vault.azure.net/keys/k", "https://a@b.vault.azure.net/keys/k", "https://x/keys/.vault.azure.net"}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if azurekey.CheckURL(s) != nil {
			return
		}
		rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(s)), "https://")
		host, path, _ := strings.Cut(rest, "/")
		name, _, _ := strings.Cut(host, ".")
		suffix := strings.TrimSuffix(strings.TrimPrefix(host, name), ":443")
		known := map[string]bool{".vault.azure.net": true, ".vault.azure.cn": true, ".vault.usgovcloudapi.net": true, ".vault.microsoftazure.de": true}
		if !ok || name == "" || !known[suffix] || !strings.HasPrefix(path, "keys/") {
			t.Fatalf("%q was accepted", s)
		}
	})
}
