package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/azurekey"
)

// azureKey is the source of keys that Azure Key Vault keeps.
func azureKey() keySource {
	return keySource{
		kind: nebula.SlotAzureKey, name: "the Azure key", flag: "--azure-key URL",
		isSet: func(k *Keys) bool { return k.store.key.AzureKey.URL != "" },
		fits:  func(k *Keys, slot nebula.Slot) bool { return k.store.key.AzureKey.MayOpen(slot) },
		key: func(k *Keys) (nebula.Key, error) {
			if k.store.key.AzureKey.URL == "" {
				return nil, nil
			}
			return k.azureKey(k.store.key.AzureKey)
		},
		service: &keyService{
			section:  "azure_key",
			setting:  "url",
			usage:    "open it with the key of Azure Key Vault at `URL`: https://NAME.vault.azure.net/keys/KEY",
			named:    func(k *keyKeys) string { return k.AzureKey.URL },
			validate: func(k *keyKeys) error { return k.AzureKey.Validate() },
			check:    azurekey.CheckURL,
			forKey: func(k *Keys, url string) (nebula.Key, error) {
				c := k.store.key.AzureKey
				c.URL, c.Also = url, nil
				return k.azureKey(c)
			},
			obeys: map[string]string{"credential.tenant_id": "AZURE_TENANT_ID", "credential.client_id": "AZURE_CLIENT_ID",
				"credential.federated_token_file": "AZURE_FEDERATED_TOKEN_FILE"},
			concern: func(k *Keys, url string) string {
				if !azurekey.IsBeside(url, k.description) {
					return ""
				}
				return "the Azure key is in the vault that also holds the store: anyone who administers that vault can read the store"
			},
		},
	}
}

func (k *Keys) azureKey(c azurekey.Config) (nebula.Key, error) {
	c.Tell = k.options.Tell
	return azurekey.New(c)
}
