package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// The section of the key uses the identity of the environment, like the provider's.
func TestAzureKey(t *testing.T) {
	const tenant, client = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
	text := "[key.azure_key]\nurl = 'https://a.vault.azure.net/keys/k'\nalso = ['https://b.vault.azure.net/keys/k']\n" +
		"[stores.work.key.azure_key]\nurl = 'https://c.vault.azure.net/keys/k'\n[stores.work.key.azure_key.credential]\ntype = 'developer_tools'"
	c, err := load(t, text, "AZURE_TENANT_ID="+tenant, "AZURE_CLIENT_ID="+client, "AZURE_CLIENT_SECRET=canary",
		"NEBULA_KEY_AZURE_KEY_URL=https://d.vault.azure.net/keys/k", "NEBULA_KEY_AZURE_KEY_CREDENTIAL_TYPE=service_principal")
	if err != nil {
		t.Fatal(err)
	}
	mine, work := c.stores[DefaultStore].key.AzureKey, c.stores["work"].key.AzureKey
	if mine.URL != "https://d.vault.azure.net/keys/k" || !slices.Equal(mine.Also, []string{"https://b.vault.azure.net/keys/k"}) ||
		mine.Credential.Type != "service_principal" || string(mine.Credential.ClientSecret.Reveal()) != "canary" {
		t.Errorf("the default store has %+v", mine)
	}
	if work.URL != "https://c.vault.azure.net/keys/k" || work.Credential.Type != "developer_tools" || work.Credential.TenantID != tenant {
		t.Errorf("the other store has %+v", work)
	}
	for key, want := range map[string]string{"key.azure_key.url": "NEBULA_KEY_AZURE_KEY_URL", "key.azure_key.also": c.Path,
		"key.azure_key.credential.client_id": "AZURE_CLIENT_ID", "stores.work.key.azure_key.credential.tenant_id": "AZURE_TENANT_ID"} {
		if s := setting(t, c, key); s.Source != want {
			t.Errorf("%s is from %s, want %s", key, s.Source, want)
		}
	}
	for _, s := range c.Settings() {
		if s.Value == "canary" {
			t.Errorf("%s shows the secret", s.Key)
		}
	}
}

// A problem is reported with its section. Without a key of Azure, the variables of
// another program are not checked.
func TestAzureKeyProblems(t *testing.T) {
	if _, err := load(t, "", "AZURE_CLIENT_ID=of another program"); err != nil {
		t.Error(err)
	}
	_, err := load(t, "[key.azure_key]\nurl = 'https://a.vault.azure.net/secrets/k'\n[key.azure_key.credential]\ntype = 'workload_identity'\nclient_id = 'me'\nfederated_token_file = 'token'")
	for _, want := range []string{"[key.azure_key]", "url must have the form", `credential.client_id "me" is not a GUID`, "credential.tenant_id is not set", "must be an absolute path"} {
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// A key in the store's own vault does not protect against administrators of that vault.
func TestAzureKeyBesideTheStore(t *testing.T) {
	c, err := load(t, "[storage]\nprovider = 'azure'\n[storage.azure]\nvault_url = 'https://A.vault.azure.net'\n[key.azure_key]\nurl = 'https://a.vault.azure.net/keys/k'")
	if err != nil {
		t.Fatal(err)
	}
	s := c.stores[DefaultStore]
	p, err := c.construct(s, OpenOptions{}.withDefaults(nil))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	k := &Keys{store: s, description: describe(p), options: OpenOptions{Tell: func(text string) { told = append(told, text) }}}
	const want = "the Azure key is in the vault that also holds the store"
	if found := k.CheckServices(t.Context()); len(found) != 1 || found[0].Severity != nebula.SeverityWarning || !strings.Contains(found[0].Message, want) {
		t.Errorf("found %+v", found)
	}
	for _, url := range []string{"https://b.vault.azure.net/keys/k", "https://a.vault.azure.net/keys/k"} {
		if _, err := k.ofService(azureKey(), url); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], want) {
		t.Errorf("the program told %q", told)
	}
}
